const ID = /^\d+-\d+$/;

// Whether a message was published. Messages about the connection itself have random ids.
export const isId = (text) => ID.test(text);

// By the two numbers, not as text. What there is comes after nothing.
export function isAfter(id, other) {
  if (!id || !other) return Boolean(id);
  const [ms, sequence] = id.split("-").map(Number);
  const [otherMs, otherSequence] = other.split("-").map(Number);
  return ms === otherMs ? sequence > otherSequence : ms > otherMs;
}
