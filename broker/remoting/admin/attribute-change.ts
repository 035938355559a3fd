// Attributes of a topic or group as they become by a request.

/** The attributes of `old` with those of the request set and removed; the caller's own. */
export function changedAttributes(
  old: Readonly<Record<string, string>> | undefined,
  request: {
    readonly attributes: Readonly<Record<string, string>>;
    readonly removedAttributes: readonly string[];
  },
): Record<string, string> {
  const attributes = { ...old, ...request.attributes };
  for (const key of request.removedAttributes) delete attributes[key];
  return attributes;
}
