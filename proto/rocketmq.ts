// `apache.rocketmq.v2` as a namespace without its Admin service, which few programs load.
import * as v2 from "./generated/messaging.ts";

export { v2 };
