// Topics and groups of a simulated cluster that several files speak of.

/** NORMAL messages, and FIFO ones where order counts. */
export const plainTopic = "t";
export const priorityTopic = "tasks";
export const liteTopic = "sessions";
