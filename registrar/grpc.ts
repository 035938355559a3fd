// What the links use of grpc-js, loaded late and by these names: of a package of the older module kind, bundles and
// loaders do not agree on what is there when it is loaded late itself.
export { Client, credentials, Metadata } from "@grpc/grpc-js";
