// `google.protobuf` as a namespace, as far as the wire contract needs it.
import * as protobuf from "./generated/well-known.ts";

export { protobuf };
