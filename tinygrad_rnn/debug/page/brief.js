// The name of a node for reading from further away. All of a kind are nearly of one size: what is too long for its box
// is broken in two, or else cut, and the whole of it stands in the tooltip.

const LARGEST_NAME = { landmark: 32, output: 32 }; // in points of the picture
const USUAL_NAME = 24;
const LARGEST_CONSTANT = 20;
const SMALLEST_PART = 0.7; // of the largest of its kind
const LINE = 1.1; // from one line to the next, in sizes
const PLAIN = ["operation", "constant"]; // the others are bold, as the style sheet has it

const ruler = document.createElement("canvas").getContext("2d");
const widths = new Map();

// In sizes of the letters.
function widthOf(text, bold) {
  const key = `${bold} ${text}`;
  if (!widths.has(key)) {
    ruler.font = `${bold ? "bold " : ""}100px "DejaVu Sans", Verdana, Arial, Helvetica, sans-serif`;
    widths.set(key, ruler.measureText(text).width / 100);
  }
  return widths.get(key);
}

// Near the middle, where a word ends if there is such a place: log_ softmax.
function brokenInTwo(text) {
  const letters = [...text];
  const middle = Math.ceil(letters.length / 2);
  const ends = [];
  for (let k = 2; k < letters.length - 1; k++) {
    if (/[_/.\s-]/u.test(letters[k - 1]) || (/\p{Ll}/u.test(letters[k - 1]) && /\p{Lu}/u.test(letters[k]))) ends.push(k);
  }
  const at = ends.sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle))[0] ?? middle;
  const first = letters.slice(0, at).join("");
  return [ends.length ? first : `${first}-`, letters.slice(at).join("")];
}

function cutTo(wide, text, bold) {
  if (widthOf(text, bold) <= wide) return text;
  const letters = [...text].slice(0, 40);
  while (letters.length > 1 && widthOf(`${letters.join("")}…`, bold) > wide) letters.pop();
  return `${letters.join("")}…`;
}

// -> {lines, size}
function fitted(text, { shape, w, h }) {
  const bold = !PLAIN.includes(shape);
  const largest = shape === "constant" ? LARGEST_CONSTANT : (LARGEST_NAME[shape] ?? USUAL_NAME);
  const least = SMALLEST_PART * largest;
  const room = w - 6;
  const sizeOf = (lines) => Math.min(largest, room / Math.max(...lines.map((line) => widthOf(line, bold))), (0.9 * h) / (LINE * lines.length));
  const broken = brokenInTwo(text);
  for (const lines of [[text], broken]) if (sizeOf(lines) >= least) return { lines, size: sizeOf(lines) };
  const lines = 2 * LINE * least <= 0.9 * h ? broken : [text];
  return { lines: lines.map((line) => cutTo(room / least, line, bold)), size: least };
}

function briefOf(node, text) {
  const { lines, size } = fitted(text, node);
  const first = node.y + size * (0.35 - (LINE * (lines.length - 1)) / 2);
  const made = lines.map((line, k) => drawn("text", {
    x: node.x, y: (first + k * LINE * size).toFixed(1), "font-size": size.toFixed(1), class: "brief",
  }, line));
  return lines[0] === text ? made : [drawn("title", {}, text), ...made];
}
