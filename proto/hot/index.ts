// The door of the codecs over bytes: SendMessage, ReceiveMessage and AckMessage without decoding.
export {
  type AckEntryView,
  type AckMessageView,
  type AckResultView,
  readAckMessageRequest,
  writeAckMessageResponse,
} from "./ack-message.ts";
export {
  forEachUserProperty,
  type MessageProperties,
  type MessageView,
  readMessageProperties,
} from "./message-view.ts";
export {
  type PickedValues,
  type SystemPropertyName,
  SystemPropertyPicker,
  UserPropertyPicker,
} from "./property-picker.ts";
export { type DeliveredMessageView, ReceiveMessageWriter } from "./receive-message.ts";
export {
  readSendMessageRequest,
  type SendResultView,
  writeSendMessageResponse,
} from "./send-message.ts";
export type { StatusView } from "./status.ts";
