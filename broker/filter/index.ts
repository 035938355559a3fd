export { SqlFilter } from "./sql-filter.ts";
