// The version this package tells servers; a test compares it with package.json.

/** Version of @cometmq/client. */
export const clientVersion = "0.1.0";
