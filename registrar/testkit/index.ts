export { ToldRegistrar, type ToldServer } from "./told-registrar.ts";
