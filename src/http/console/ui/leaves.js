// What is inside a value: its numbers, wherever they are nested.

/**
 * @typedef {object} Leaf
 * @property {string[]} path
 * @property {string} name the path with dots, empty for a value that is a number itself
 * @property {boolean} isListed whether it is an element of a list, whose place means nothing
 */

/** Far more than fits a screen; beyond it a value is data and no statistics. */
const LEAVES_MAX = 500;

/**
 * Every number in a value, those of the plain fields first.
 * @param {unknown} value
 * @returns {Leaf[]}
 */
export function numbers(value) {
  return leaves(value, (it) => typeof it === "number");
}

/**
 * @param {unknown} value
 * @param {(leaf: unknown) => boolean} isWanted
 * @returns {Leaf[]}
 */
export function leaves(value, isWanted) {
  /** @type {Leaf[]} */
  const found = [];
  /** @type {(value: unknown, path: string[], isListed: boolean) => void} */
  const walk = (value, path, isListed) => {
    if (found.length >= LEAVES_MAX) return;
    if (isWanted(value)) found.push({ path, name: path.join("."), isListed });
    if (value === null || typeof value !== "object") return;
    for (const [key, inner] of Object.entries(value)) {
      walk(inner, [...path, key], isListed || Array.isArray(value));
    }
  };
  walk(value, [], false);
  const order = (/** @type {Leaf} */ leaf) => (leaf.isListed ? 100 : 0) + leaf.path.length;
  return found.sort((a, b) => order(a) - order(b));
}

/**
 * @param {unknown} value
 * @param {string[]} path
 * @returns {unknown}
 */
export function at(value, path) {
  for (const key of path) {
    if (value === null || typeof value !== "object") return undefined;
    value = /** @type {Record<string, unknown>} */ (value)[key];
  }
  return value;
}

/**
 * As the history wants it (RFC 6901); empty for the value itself.
 * @param {string[]} path
 */
export function pointer(path) {
  return path.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
