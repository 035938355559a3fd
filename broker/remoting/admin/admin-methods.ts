// All calls of cometmq.v1.BrokerAdmin, by path.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import type { AdminContext } from "./admin-context.ts";
import { cloneGroupOffset } from "./clone-group-offset.ts";
import { deleteGroup } from "./delete-group.ts";
import { deleteTopic } from "./delete-topic.ts";
import { electMaster } from "./elect-master.ts";
import { getBrokerConfig } from "./get-broker-config.ts";
import { getBrokerStatus } from "./get-broker-status.ts";
import { getConsumerConnection } from "./get-consumer-connection.ts";
import { getConsumerProgress } from "./get-consumer-progress.ts";
import { getControllerState } from "./get-controller-state.ts";
import { getHaStatus } from "./get-ha-status.ts";
import { getLiteClient } from "./get-lite-client.ts";
import { getLiteGroup } from "./get-lite-group.ts";
import { getLiteParent } from "./get-lite-parent.ts";
import { getLiteSummary } from "./get-lite-summary.ts";
import { getLiteTopic } from "./get-lite-topic.ts";
import { getProducerConnection } from "./get-producer-connection.ts";
import { getSyncState } from "./get-sync-state.ts";
import { getTopicStatus } from "./get-topic-status.ts";
import { listGroups } from "./list-groups.ts";
import { listTopics } from "./list-topics.ts";
import { queryMessageById } from "./query-message-by-id.ts";
import { queryMessageByKey } from "./query-message-by-key.ts";
import { queryMessageByOffset } from "./query-message-by-offset.ts";
import { resendDeadLetters } from "./resend-dead-letters.ts";
import { resetGroupOffset } from "./reset-group-offset.ts";
import { updateBrokerConfig } from "./update-broker-config.ts";
import { updateGroup } from "./update-group.ts";
import { updateTopic } from "./update-topic.ts";

/** The handlers of `cometmq.v1.BrokerAdmin` by path. */
export function brokerAdminMethods(context: AdminContext): Map<string, MethodHandler> {
  const { methods } = brokerAdminService;
  return new Map([
    [methods.UpdateTopic.path, updateTopic(context)],
    [methods.DeleteTopic.path, deleteTopic(context)],
    [methods.ListTopics.path, listTopics(context)],
    [methods.GetTopicStatus.path, getTopicStatus(context)],
    [methods.UpdateGroup.path, updateGroup(context)],
    [methods.DeleteGroup.path, deleteGroup(context)],
    [methods.ListGroups.path, listGroups(context)],
    [methods.GetConsumerProgress.path, getConsumerProgress(context)],
    [methods.ResetGroupOffset.path, resetGroupOffset(context)],
    [methods.CloneGroupOffset.path, cloneGroupOffset(context)],
    [methods.GetConsumerConnection.path, getConsumerConnection(context)],
    [methods.GetProducerConnection.path, getProducerConnection(context)],
    [methods.GetLiteSummary.path, getLiteSummary(context)],
    [methods.GetLiteParent.path, getLiteParent(context)],
    [methods.GetLiteTopic.path, getLiteTopic(context)],
    [methods.GetLiteClient.path, getLiteClient(context)],
    [methods.GetLiteGroup.path, getLiteGroup(context)],
    [methods.QueryMessageById.path, queryMessageById(context)],
    [methods.QueryMessageByKey.path, queryMessageByKey(context)],
    [methods.QueryMessageByOffset.path, queryMessageByOffset(context)],
    [methods.ResendDeadLetters.path, resendDeadLetters(context)],
    [methods.GetBrokerStatus.path, getBrokerStatus(context)],
    [methods.GetBrokerConfig.path, getBrokerConfig(context)],
    [methods.UpdateBrokerConfig.path, updateBrokerConfig(context)],
    [methods.GetHaStatus.path, getHaStatus(context)],
    [methods.GetSyncState.path, getSyncState(context)],
    [methods.GetControllerState.path, getControllerState(context)],
    [methods.ElectMaster.path, electMaster(context)],
  ]);
}
