export { type CallOptions, TestBidi, TestCall, TestConnection, TestStream } from "./calls.ts";
export { ManualClock } from "./manual-clock.ts";
export { type TestBroker, type TestBrokerOptions, testBroker } from "./test-broker.ts";
