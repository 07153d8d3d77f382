// Sparklines: the recent past of one number, on a canvas, because a page may have hundreds of them.

/** @typedef {import("../model/ring.js").Ring} Ring */

const WIDTH = 1.5;
const dark = matchMedia("(prefers-color-scheme: dark)");
let colours = { line: "", quiet: "" };

function read() {
  const style = getComputedStyle(document.documentElement);
  colours = { line: style.getPropertyValue("--accent"), quiet: style.getPropertyValue("--edge") };
}

/** Asked for once and not for each line: that would lay out the page. */
function colour(/** @type {boolean} */ isStale) {
  if (!colours.line) {
    read();
    dark.addEventListener("change", read);
  }
  return isStale ? colours.quiet : colours.line;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Ring} points
 * @param {boolean} isStale
 */
export function drawSpark(canvas, points, isStale) {
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const { width, height } = canvas;
  const scale = devicePixelRatio;
  pen.clearRect(0, 0, width, height);
  if (points.length < 2) return;
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < points.length; i += 1) {
    low = Math.min(low, points.at(i));
    high = Math.max(high, points.at(i));
  }
  const margin = WIDTH * scale;
  const y = (/** @type {number} */ value) =>
    high > low ? height - margin - ((height - 2 * margin) * (value - low)) / (high - low) : height / 2;
  const step = (width - 2 * margin) / (points.length - 1);
  pen.beginPath();
  for (let i = 0; i < points.length; i += 1) pen.lineTo(margin + i * step, y(points.at(i)));
  pen.lineWidth = WIDTH * scale;
  pen.lineJoin = "round";
  pen.strokeStyle = colour(isStale);
  pen.stroke();
}

/**
 * Gives the canvas as many points as the screen has there.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 */
export function fit(canvas, width, height) {
  const [wide, high] = [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== high) canvas.height = high;
}
