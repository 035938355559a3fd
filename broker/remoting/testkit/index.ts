export { answeredCases, answeredCodes } from "./answered-codes.ts";
export { type CallOptions, TestBidi, TestConnection, TestStream } from "./calls.ts";
export { ManualClock } from "./manual-clock.ts";
export { TestBroker, type TestBrokerOptions } from "./test-broker.ts";
export {
  type AnsweredStatus,
  type CallName,
  type Exchange,
  TestClient,
} from "./test-client.ts";
