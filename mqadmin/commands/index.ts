// The commands by name. Each is loaded when it is asked for, so that one costs no more to start than it needs.
import type { Command } from "../command.ts";

/** Loads a command. */
export type CommandLoader = () => Promise<Command>;

export const commands: Readonly<Record<string, CommandLoader>> = {
  addWritePerm: async () => (await import("./write-perm.ts")).addWritePerm,
  brokerStatus: async () => (await import("./broker-status.ts")).brokerStatus,
  checkMsgSendRT: async () => (await import("./check-msg-send-rt.ts")).checkMsgSendRT,
  cloneGroupOffset: async () => (await import("./clone-group-offset.ts")).cloneGroupOffset,
  clusterList: async () => (await import("./cluster-list.ts")).clusterList,
  consumeMessage: async () => (await import("./consume-message.ts")).consumeMessage,
  consumerConnection: async () => (await import("./consumer-connection.ts")).consumerConnection,
  consumerProgress: async () => (await import("./consumer-progress.ts")).consumerProgress,
  consumerStatus: async () => (await import("./consumer-status.ts")).consumerStatus,
  deleteSubGroup: async () => (await import("./delete-sub-group.ts")).deleteSubGroup,
  deleteTopic: async () => (await import("./delete-topic.ts")).deleteTopic,
  electMaster: async () => (await import("./elect-master.ts")).electMaster,
  exportMetadata: async () => (await import("./export-metadata.ts")).exportMetadata,
  getBrokerConfig: async () => (await import("./get-broker-config.ts")).getBrokerConfig,
  getBrokerLiteInfo: async () => (await import("./get-broker-lite.ts")).getBrokerLiteInfo,
  getConsumerConfig: async () => (await import("./get-consumer-config.ts")).getConsumerConfig,
  getControllerMetaData: async () =>
    (await import("./get-controller-members.ts")).getControllerMetaData,
  getLiteClientInfo: async () => (await import("./get-lite-client.ts")).getLiteClientInfo,
  getLiteGroupInfo: async () => (await import("./get-lite-group.ts")).getLiteGroupInfo,
  getLiteTopicInfo: async () => (await import("./get-lite-topic.ts")).getLiteTopicInfo,
  getParentTopicInfo: async () => (await import("./get-lite-parent.ts")).getParentTopicInfo,
  getSyncStateSet: async () => (await import("./get-sync-state-set.ts")).getSyncStateSet,
  haStatus: async () => (await import("./ha-status.ts")).haStatus,
  importMetadata: async () => (await import("./import-metadata.ts")).importMetadata,
  producerConnection: async () => (await import("./producer-connection.ts")).producerConnection,
  queryMsgById: async () => (await import("./query-msg-by-id.ts")).queryMsgById,
  queryMsgByKey: async () => (await import("./query-msg-by-key.ts")).queryMsgByKey,
  queryMsgByOffset: async () => (await import("./query-msg-by-offset.ts")).queryMsgByOffset,
  queryMsgByUniqueKey: async () => (await import("./query-msg-by-id.ts")).queryMsgByUniqueKey,
  resendDLQ: async () => (await import("./resend-dlq.ts")).resendDLQ,
  resetOffsetByOffset: async () =>
    (await import("./reset-offset-by-offset.ts")).resetOffsetByOffset,
  resetOffsetByTime: async () => (await import("./reset-offset-by-time.ts")).resetOffsetByTime,
  sendMessage: async () => (await import("./send-message.ts")).sendMessage,
  skipAccumulatedMessage: async () =>
    (await import("./skip-accumulated-message.ts")).skipAccumulatedMessage,
  topicList: async () => (await import("./topic-list.ts")).topicList,
  topicRoute: async () => (await import("./topic-route.ts")).topicRoute,
  topicStatus: async () => (await import("./topic-status.ts")).topicStatus,
  updateBrokerConfig: async () => (await import("./update-broker-config.ts")).updateBrokerConfig,
  updateSubGroup: async () => (await import("./update-sub-group.ts")).updateSubGroup,
  updateTopic: async () => (await import("./update-topic.ts")).updateTopic,
  wipeWritePerm: async () => (await import("./write-perm.ts")).wipeWritePerm,
};
