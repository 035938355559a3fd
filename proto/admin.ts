// The door of RocketMQ's Admin service, apart from the main door: its code is loaded only by
// programs that import "@cometmq/proto/admin".
import * as admin from "./generated/admin.ts";

export { adminService } from "./generated/admin-service.ts";
export { admin };
