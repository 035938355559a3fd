// Every bound of the server, named. A bound says what happens when it is reached.
// Values an operator may change live in the configuration tables; these are fixed.

export const limits = {
  /** Topic name, characters. Longer: ILLEGAL_TOPIC. */
  topicLengthMax: 127,
  /** Consumer group name, characters. Longer: ILLEGAL_CONSUMER_GROUP. */
  consumerGroupLengthMax: 120,
  /** User properties of a message. More: MESSAGE_PROPERTIES_TOO_LARGE. */
  userPropertyCountMax: 128,
  /** Keys, values, tag and message keys together, UTF-8 bytes. More: MESSAGE_PROPERTIES_TOO_LARGE. */
  userPropertySizeMax: 16_384,
  /** Message group, UTF-8 bytes. Longer: ILLEGAL_MESSAGE_GROUP. */
  messageGroupSizeMax: 63,
  /** Name of a lite topic, UTF-8 bytes. Longer: ILLEGAL_LITE_TOPIC. */
  liteTopicSizeMax: 64,
  /** Lite topics that one SyncLiteSubscription names. More: BAD_REQUEST. */
  liteTopicsPerSyncMax: 10_000,
  /** Values of the attribute `lite.topic.expiration`, minutes. */
  liteExpirationMinMinutes: 1,
  liteExpirationMaxMinutes: 525_600,
  /** Largest value of the attribute `lite.sub.client.quota`. */
  liteClientQuotaMax: 10_000,
  /** Lite topics that a client may subscribe to when its group says nothing else. */
  liteClientQuotaDefault: 2_000,
  /** Messages in lite topics whose place is remembered, 8 bytes each; what all groups have had is forgotten from half of it on. More: TOO_MANY_REQUESTS. */
  liteOffsetsMax: 4_194_304,
  /** The newest messages of a queue that are looked through for lite topics at a start, whether groups have had them or not. */
  liteOffsetsRebuilt: 131_072,
  /** Subscribers of a lite topic that operators are shown; more are counted only. */
  liteSubscribersShownMax: 10_000,
  /** Lite topics that operators may ask for in which a group is farthest behind: each is a read of the log. More: BAD_REQUEST. */
  liteLagsShownMax: 100,
  /** Lite topics that are looked at for that before others have their turn. */
  liteTopicsPerTurn: 8_192,
  /** Those they get when they do not say how many. */
  liteLagsShownDefault: 20,
  /** How often idle lite topics and what all groups have had are looked for, milliseconds. */
  liteUpkeepPeriodMs: 30_000,
  /** Messages given to one ReceiveMessage; more are quietly not given. */
  receiveBatchCountMax: 32,
  /** Invisible time of a receive without auto-renew, milliseconds. Outside: ILLEGAL_INVISIBLE_TIME. */
  invisibleMinMs: 10_000,
  invisibleMaxMs: 43_200_000,
  /** A NameServer forgets a broker that has said nothing for so long, milliseconds. */
  brokerSilenceMaxMs: 10_000,
  /** A broker says that it is alive this often, milliseconds. */
  brokerHeartbeatMs: 1_000,
  /** A broker gives a stream to a NameServer up that has not answered for so long, milliseconds. */
  nameServerSilenceMaxMs: 3_000,
  /** Waits before a broker dials a NameServer again, milliseconds: doubled each time between these. */
  nameServerRetryMinMs: 100,
  nameServerRetryMaxMs: 1_000,
  /** A NameServer that has run for less may not have heard of all brokers yet, milliseconds. */
  nameServerSettlingMs: 3_000,
  /** One question to a NameServer, milliseconds. */
  nameServerAskMs: 1_000,
  /** After the first good answer of a NameServer the others are waited for so long, milliseconds. */
  nameServerGraceMs: 50,
  /** Brokers that a NameServer takes in. More are refused. */
  routedBrokerCountMax: 10_000,
  /** Invisible time given when the server renews, milliseconds. */
  invisibleRenewedMs: 60_000,
  /** Long polling is held between these, milliseconds. */
  pollingMinMs: 5_000,
  pollingMaxMs: 20_000,
  /** Times that a protobuf Timestamp can say, milliseconds since 1970: the years 1 to 9999. Others: ILLEGAL_DELIVERY_TIME. */
  timestampMinMs: -62_135_596_800_000,
  timestampMaxMs: 253_402_300_799_999,
  /** Recovery time of an orphaned transaction, milliseconds. Beyond: BAD_REQUEST. */
  orphanedRecoveryMaxMs: 3_600_000,
  /** A failed ReceiveMessage is answered this late at most, milliseconds, so that clients do not spin. */
  receiveErrorDelayMs: 1_000,
  /** A message larger than this may be refused by its client: the default of gRPC libraries, bytes. */
  clientFrameSizeDefault: 4_194_304,
  /** A message that its client refused for its size stays invisible so long, milliseconds. */
  refusedMessageDelayMs: 10_000,
  /** Parsed filter expressions kept for the next receive; when full the cache starts anew. */
  filterCacheCountMax: 1_024,
  /** Characters of all of them together; likewise. */
  filterCacheLengthMax: 262_144,
  /** One SendMessage, bytes: a body over maxMessageSize still gets its clear status. More: RESOURCE_EXHAUSTED. */
  sendRequestSizeMax: 75_497_472,
  /** Any other request, bytes. More: RESOURCE_EXHAUSTED. */
  callRequestSizeMax: 4_194_304,
  /** Messages that one query by key gives; more are not given. */
  queryMessageCountMax: 64,
  /** Dead letters that one call gives again; the caller goes on with the next call. */
  resendCountMax: 256,
  /** Clients known at once. More: TOO_MANY_REQUESTS. */
  clientCountMax: 100_000,
  /** Topics one client publishes or subscribes to. More: BAD_REQUEST. */
  clientTopicCountMax: 4_096,
  /** A client that says nothing for so long is gone, milliseconds. */
  clientSilenceMaxMs: 120_000,
  /** A client without any connection is gone after so long, milliseconds. */
  clientReconnectGraceMs: 10_000,
  /** A member that shares queues with others and has not asked for its share for so long has none any more, milliseconds. */
  pullMemberSilenceMs: 10_000,
  /** The first who ask for a share wait so long for the others to ask, milliseconds. */
  pullShareSettleMs: 2_000,
  /** Pairs of client properties in settings. More: INVALID_CLIENT_PROPERTIES, as for the three below. */
  clientPropertyCountMax: 32,
  clientPropertyKeyLengthMax: 64,
  clientPropertyValueLengthMax: 256,
  clientPropertySizeMax: 4_096,
  // State: topics, groups and progress.
  /** Dead-letter and retry topic names, characters; the group's name is inside. Longer: ILLEGAL_TOPIC. */
  derivedTopicLengthMax: 255,
  /** Read or write queues of one topic on one broker. More: BAD_REQUEST. */
  topicQueueCountMax: 1_024,
  /** Topics of one broker. More: FORBIDDEN. */
  topicCountMax: 65_536,
  /** Consumer groups of one broker. More: FORBIDDEN. */
  groupCountMax: 65_536,
  /** Deliveries of a message to a group after the first one. More: BAD_REQUEST. */
  retryTimesMax: 10_000,
  /** Steps of a customized retry policy. More: BAD_REQUEST. */
  retryPolicyStepsMax: 64,
  /** Longest wait before a retry, milliseconds. More: BAD_REQUEST. */
  retryDelayMaxMs: 86_400_000,
  /** State changes in memory before they are written without waiting for the period. */
  stateChangesMax: 16_384,
  /** State changes are written at least so often, milliseconds. */
  stateWritePeriodMs: 1_000,
  /** With no change the applied position alone is written so often, milliseconds. */
  statePositionPeriodMs: 10_000,
  /** A failed write of the state is tried again after so long, milliseconds. */
  stateRetryMs: 5_000,
  /** Keys handed to the database before other work gets its turn. */
  stateEntriesPerTurn: 1_024,
  // Message index.
  /** Bytes of the log that are indexed in one step, about. */
  indexStepSize: 1_048_576,
  /** Entries of expired messages removed in one step. */
  indexPruneCountMax: 10_000,
  /** The index is opened so long after there is something to index, milliseconds. */
  indexStartDelayMs: 2_000,
  /** New messages are indexed so long after they came, milliseconds. */
  indexDelayMs: 200,
  /** Rest after a step, as a multiple of the time it took: while the log grows fast, and else. */
  indexRestBusy: 4,
  indexRestQuiet: 1,
  /** A failed index is opened again after so long, milliseconds. */
  indexRetryMs: 30_000,
  /** A query waits so long for the index to come up to the log, milliseconds; then it answers with what there is. */
  indexQueryWaitMs: 3_000,
  /** A part of a state snapshot is a record of about this size, bytes. */
  snapshotPartSize: 262_144,
  // Store.
  /** One record of the commit log, bytes. A larger draft: MESSAGE_BODY_TOO_LARGE; larger stored: CORRUPT. */
  recordSizeMax: 67_108_864,
  /** Bytes appended but not yet confirmed. More: TOO_MANY_REQUESTS until the disk has caught up. */
  appendBacklogSizeMax: 134_217_728,
  /** Repeated sends that wait until the first ones are durable. More: TOO_MANY_REQUESTS. */
  repeatedSendsWaitingMax: 10_000,
  /** Open segment files of the commit log; the least recently used is closed. */
  segmentFilesOpenMax: 64,
  /** Open consume-queue files; the least recently used is closed. */
  queueFilesOpenMax: 128,
  /** Bytes read from the log in one step by a scan or a cold read; larger records are read alone. */
  logReadSize: 1_048_576,
  /** Cold reads at the disk at once; others wait, so that the tail finds a free thread. */
  coldReadsAtOnceMax: 2,
  /** Files made durable one by one; from more on the whole file system is synced in one step. */
  filesSyncedAloneMax: 64,
  /** Consume-queue entries read from a file in one step and kept for the next reads. */
  queueReadCount: 256,
  // Other brokers of the cluster.
  /** What NameServers said of a topic is asked for again after so long, milliseconds. */
  clusterViewAgeMs: 1_000,
  /** What a silent NameServer said counts so long beside the answers of others, milliseconds. */
  clusterMemoryMs: 10_000,
  /** Topics and broker names whose places are remembered; the one unused for longest is forgotten. */
  clusterViewCountMax: 10_000,
  /** A call waits so long for a master to appear, milliseconds; then HA_NOT_AVAILABLE. */
  masterWaitMs: 5_000,
  /** A call that waits for a master looks so often, milliseconds. */
  masterLookMs: 50,
  /** Left of a call's deadline when its answer must be on its way, milliseconds. */
  answerHeadroomMs: 100,
  /** Connections to one broker for calls passed on to it. */
  forwardConnectionsMax: 4,
  /** A connection to another broker that served no call for so long is closed, milliseconds. */
  forwardIdleMs: 300_000,
  /** Calls passed on at once. More: TOO_MANY_REQUESTS. */
  forwardedCallsMax: 100_000,
  /** Heartbeats of a client go to brokers that served it within so long, milliseconds. */
  forwardMemoryMs: 300_000,
  /** What was given through another broker can be given back so long, milliseconds. */
  passedLeaseMs: 5_000,
  /** Answers that can be given back so; the oldest is forgotten. */
  passedLeasesMax: 20_000,
  // Replication.
  /** A log that could not be opened again after a cut or a change of role is tried again after so long, milliseconds. */
  storageRetryMs: 1_000,
  /** Both sides of a link say something this often, milliseconds. */
  haHeartbeatMs: 500,
  /** A slave hears that more is confirmed after so long, when no bytes come by then, milliseconds. */
  haConfirmDelayMs: 10,
  /** A link over which nothing came for so long is given up, milliseconds. */
  haSilenceMaxMs: 3_000,
  /** Time to read why a link is refused before it is cut, milliseconds. */
  haFarewellMs: 1_000,
  /** Waits before a slave dials its master again, milliseconds: doubled each time between these. */
  haRetryMinMs: 50,
  haRetryMaxMs: 1_000,
  /** A link that has not come to its purpose by then is cut, milliseconds. */
  haHandshakeMs: 10_000,
  /** Both sides of a new connection have proved by then that they belong to the cluster, or it is cut, milliseconds; dialling included. */
  haProofMs: 3_000,
  /** Connections whose other side has proved nothing yet. More are closed at once. */
  haUnprovedMax: 64,
  /** Links of other brokers at once. More are refused. */
  haLinksMax: 64,
  /** An idle connection is probed by the system after so long, milliseconds. */
  haKeepAliveMs: 10_000,
  /** Log bytes handed to a link and not taken by the system yet; the slave gets more when they are. */
  haSendBufferSize: 4_194_304,
  /** Log bytes that a slave has taken off its link and not written yet; then the link stalls. */
  haReceiveBufferSize: 16_777_216,
  /** Bytes before the common point whose hash both sides compare. */
  haProofSize: 65_536,
  /** A broker looks so often whether its slaves keep up, or whether its master is there, milliseconds. */
  haTickMs: 100,
  /** A slave acts for its master when the link has been down for so long, milliseconds, and nobody lists the master. */
  haActAfterMs: 1_000,
  /** A hand-over waits so long for the next master to come level, milliseconds; then nothing is handed over. */
  haHandOverMs: 2_000,
  /** A master whose reign ends waits so long for its slaves to have the last of consumers' progress, milliseconds. */
  haLastWordsMs: 500,
  // Held messages: delayed ones and those of open transactions.
  /** Held messages of one kind in memory, those that are due first; when few are left the next ones are read. */
  heldWindowMax: 32_768,
  /** Held messages that are read in one step. */
  heldPageCount: 8_192,
  /** Held messages that go out or are carried in one atomic group: count, and bytes unless one alone has more. */
  heldGroupCountMax: 512,
  heldGroupSizeBytes: 1_048_576,
  /** What could not be done about a held message is tried again after so long, milliseconds. */
  heldRetryMs: 1_000,
  /** A held message that somebody else is changing is looked at again after so long, milliseconds. */
  heldClaimLookMs: 20,
  /** A call waits so long for a held message that is being changed, milliseconds; then HA_NOT_AVAILABLE. */
  heldClaimWaitMs: 5_000,
  /** What the log did not confirm in time is looked for so often, milliseconds. */
  heldFateLookMs: 50,
  // Delayed messages.
  /** The clock is looked at so often, milliseconds, also when nothing is due: it may have been set. */
  timerTickMs: 1_000,
  /** Messages are read so long before they are due, milliseconds; at most so many, and about so many bytes, are kept. */
  timerReadAheadMs: 1_000,
  timerReadAheadCountMax: 4_096,
  timerReadAheadSizeBytes: 8_388_608,
  /** Between the beginnings of two groups of due messages, milliseconds: what is due meanwhile goes together. */
  timerGatherMs: 4,
  /** A larger step forward of the clock than this, milliseconds, is believed when it has lasted for so long. */
  timerJumpMinMs: 60_000,
  timerJumpBelievedMs: 60_000,
  // Transactions.
  /** Ends of transactions that are remembered, and for how long, milliseconds: said again they are answered alike. */
  transactionOutcomesMax: 65_536,
  transactionOutcomesMs: 600_000,
  /** A due check that nobody could be asked about is looked at again after so long, milliseconds. */
  transactionAskLookMs: 500,
  // Delivery.
  /** Handed-out and unacknowledged messages of one group on one queue, unless the configuration says otherwise; at the bound the cursor waits. */
  pendingPerQueueMax: 20_000,
  /** The same of all groups on all queues; one takes some 300 bytes of memory, so that all take some 300 MB. */
  pendingTotalMax: 1_000_000,
  /** So many messages a group may have in all, also while the broker is at its bound: nobody starves beside who holds all. */
  pendingPerGroupMin: 100,
  /** Queues that wait for room at that bound are looked at again so often, milliseconds, and so many at a time. */
  pendingRoomLookMs: 100,
  pendingRoomLooksMax: 10_000,
  /** Messages of one request that are judged apart when one of them is refused; of more, all are refused with it. */
  judgedApartMax: 1_024,
  /** The highest priority of a message that is told apart; higher ones count as it. */
  priorityMax: 255,
  /** Receives of ordered groups whose answers are remembered, to be repeated; the oldest go first. */
  attemptsRememberedMax: 4_096,
  /** How often brokers look for new brokers of topics of message groups, milliseconds, and at how many topics at a time. */
  fifoBrokersPeriodMs: 1_000,
  fifoBrokersTopicsMax: 20,
  /** Names of the brokers of one topic, characters in all. */
  fifoBrokersSizeMax: 16_384,
  /** Messages of one message group that are remembered after being passed over; more are found again in the queue. */
  passedOffsetsMax: 32,
  /** Consume-queue entries one receive looks at in one go; then other work has its turn. */
  receiveScanCountMax: 4_096,
  /** Messages given to one PullMessage; more are quietly not given. */
  pullBatchCountMax: 512,
  /** Bytes given to one PullMessage, about; a larger message comes alone. */
  pullSizeBytesMax: 524_288,
  /** Reads from files for pulls at once; others wait. */
  pullReadsAtOnceMax: 4,
  /** Polls held at once, receives and pulls. More: TOO_MANY_REQUESTS. */
  heldPollsMax: 100_000,
  /** How long a receive that may not be held still waits for a read from files, milliseconds. */
  coldReceiveWaitMs: 1_000,
  /** Filter expression, characters. Longer: ILLEGAL_FILTER_EXPRESSION. */
  filterExpressionLengthMax: 16_384,
  /** All filter expressions in the settings of a client, characters. More: ILLEGAL_FILTER_EXPRESSION. */
  settingsFilterLengthMax: 262_144,
  /** Parentheses, NOT and signs inside each other in an SQL filter. More: ILLEGAL_FILTER_EXPRESSION. */
  sqlFilterDepthMax: 64,
  /** Operators and operands of an SQL filter; the texts of an IN are bounded by its length alone. More: ILLEGAL_FILTER_EXPRESSION. */
  sqlFilterNodeCountMax: 1_024,
  /** Text that a CONTAINS looks for, characters; searching for longer ones can take very long. More: ILLEGAL_FILTER_EXPRESSION. */
  sqlFilterSearchLengthMax: 256,
  /** Auto-renew ends so long after the delivery, milliseconds; then the message is visible again. */
  renewMaxMs: 10_800_000,
  /** What was renewed before a restart stays invisible at least so long after it, milliseconds. */
  renewGraceMs: 60_000,
  /** Changes of progress are gathered so long before they are written, milliseconds. */
  progressWindowMs: 40,
  /** Progress that could not be written is tried again after so long, milliseconds. */
  progressRetryDelayMs: 1_000,
  /** Upserts and removals in one progress record, bytes roughly; more go to further records of the same group. */
  progressRecordSizeMax: 262_144,
  /** Messages on their way to dead-letter topics at once; others wait and try again. */
  deadLettersUnderWayMax: 64,
  /** Messages that are known to have become dead letters: acknowledgements of others that come later are taken for repeated. */
  buriedLatelyCountMax: 16_384,
  /** A message that could not be moved to its dead-letter topic tries again after so long, milliseconds. */
  deadLetterRetryDelayMs: 1_000,
  /** One read of a backlog: messages and bytes. */
  readAheadCountMax: 512,
  readAheadSizeBytes: 524_288,
  /** How far apart in the log the messages of one read may lie, bytes. */
  readAheadSpanBytes: 2_097_152,
  /** Reads under way at once. Few: lanes that lie together in the log then find what the one before has read. */
  readAheadAtOnceMax: 1,
  /** Reads of one lane that may wait to be taken, the one being taken included. */
  readAheadChunkCountMax: 2,
  /** Backlog read ahead for all lanes together, bytes; further reads wait. */
  readAheadTotalBytesMax: 33_554_432,
  /** What was read ahead and not taken for so long may be dropped, milliseconds. */
  readAheadIdleMs: 2_000,
  /** A failed read from files is tried again after so long, milliseconds. */
  readRetryDelayMs: 1_000,
} as const;

/** Bounds of one gRPC server. A server may be opened with other values; tests do so. */
export interface TransportLimits {
  /** Header list of a call as HTTP/2 counts it, bytes. More: the call ends with RESOURCE_EXHAUSTED. */
  readonly headerListSizeMax: number;
  /** Header block as sent, with its CONTINUATION frames, bytes. More: the connection is cut. */
  readonly headerBlockSizeMax: number;
  /** CONTINUATION frames of one header block. More: the connection is cut. */
  readonly continuationCountMax: number;
  /** Open calls of a connection. More: REFUSED_STREAM. */
  readonly concurrentStreamsMax: number;
  /** Request message, bytes, compressed and inflated. More: RESOURCE_EXHAUSTED. Methods may choose less or more. */
  readonly requestSizeMax: number;
  /** Request messages of a connection that have not come completely, bytes. More: RESOURCE_EXHAUSTED. */
  readonly requestBufferSizeMax: number;
  /** Flow-control window we grant a stream, bytes. */
  readonly streamWindowSize: number;
  /** Flow-control window we grant a connection, bytes. */
  readonly connectionWindowSize: number;
  /** Unread messages of a bidirectional call before its window is no longer refilled, bytes. */
  readonly inboxSizeMax: number;
  /** Bytes given to a socket and not taken yet, after which answers wait in their streams. */
  readonly writeBufferSizeMax: number;
  /** Bytes given to a socket and not taken yet, frames of control included. More: the connection is cut. */
  readonly controlBufferSizeMax: number;
  /** Answers of a connection that wait for the client, bytes. More: new calls get REFUSED_STREAM. */
  readonly responseBufferSizeMax: number;
  /** Waiting bytes of a stream above which `write` says false. */
  readonly streamBufferSizeMax: number;
  /** A socket that takes no byte for so long is cut, milliseconds. */
  readonly writeStallMs: number;
  /** A stream whose answer waits for window for so long is reset, milliseconds. */
  readonly windowStallMs: number;
  /** Length of the window in which the frames below are counted, milliseconds. */
  readonly floodWindowMs: number;
  /** RST_STREAM frames of a client in the window. More: the connection is cut. */
  readonly resetCountMax: number;
  /** SETTINGS frames in the window. More: the connection is cut. */
  readonly settingsCountMax: number;
  /** PING frames in the window, beyond one for each frame of ours. More: the connection is cut. */
  readonly pingCountMax: number;
  /** DATA frames without payload or end in the window. More: the connection is cut. */
  readonly emptyDataCountMax: number;
  /** WINDOW_UPDATE frames in the window, beyond two for each frame of ours. More: the connection is cut. */
  readonly windowUpdateCountMax: number;
  /** PRIORITY, unknown and late frames in the window. More: the connection is cut. */
  readonly ignoredFrameCountMax: number;
  /** A connection without calls and pings for so long gets GOAWAY, milliseconds; 0: never. */
  readonly idleMs: number;
  /** A connection that has not begun HTTP/2 by then is cut, milliseconds, TLS included. */
  readonly handshakeMs: number;
  /** Connections of a server. More are closed at once. */
  readonly connectionsMax: number;
}

export const transportLimits: TransportLimits = {
  headerListSizeMax: 32_768,
  headerBlockSizeMax: 65_536,
  continuationCountMax: 16,
  concurrentStreamsMax: 8_192,
  requestSizeMax: 130 * 1_048_576,
  requestBufferSizeMax: 256 * 1_048_576,
  streamWindowSize: 1_048_576,
  connectionWindowSize: 8 * 1_048_576,
  inboxSizeMax: 65_536,
  writeBufferSizeMax: 1_048_576,
  controlBufferSizeMax: 4 * 1_048_576,
  responseBufferSizeMax: 64 * 1_048_576,
  streamBufferSizeMax: 262_144,
  writeStallMs: 60_000,
  windowStallMs: 60_000,
  floodWindowMs: 10_000,
  resetCountMax: 10_000,
  settingsCountMax: 100,
  pingCountMax: 1_000,
  emptyDataCountMax: 1_000,
  windowUpdateCountMax: 10_000,
  ignoredFrameCountMax: 10_000,
  idleMs: 600_000,
  handshakeMs: 10_000,
  connectionsMax: 50_000,
};

/** Longest deadline of a call that is kept, milliseconds (24.8 days); clients send up to 60 years. */
export const callDeadlineMaxMs: number = 2 ** 31 - 1;
