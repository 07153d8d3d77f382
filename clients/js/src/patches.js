// What a stream's messages change (RFC 7396), made whole again: nobody else knows of patches.
export class Patches {
  // By metric the id and the value of the last message that was for it.
  #values = new Map();

  // `null` where the patch is for another value than the one that is here.
  whole({ baseMessageId, ...message }) {
    const { type, data, messageId } = message;
    const isPatch = type === "metrics_patch";
    if (!isPatch && type !== "metrics_update") return message;
    const entries = Object.entries(data);
    if (isPatch) {
      for (const entry of entries) {
        const [id, value] = this.#values.get(entry[0]) ?? [];
        if (!id || id !== baseMessageId) return null;
        entry[1] = patched(value, entry[1]);
      }
    }
    for (const [metric, value] of entries) this.#values.set(metric, [messageId, value]);
    return isPatch ? { ...message, type: "metrics_update", data: Object.fromEntries(entries) } : message;
  }
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

// Another value: the old one is somebody's.
export function patched(value, patch) {
  if (!isObject(patch)) return patch;
  const members = new Map(isObject(value) ? Object.entries(value) : []);
  for (const [key, change] of Object.entries(patch)) {
    if (change === null) members.delete(key);
    else members.set(key, patched(members.get(key), change));
  }
  return Object.fromEntries(members);
}
