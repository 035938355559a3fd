// `cometmq.v1` as a namespace.
import * as v1 from "./generated/cometmq.ts";

export { v1 };
