// Elements, numbers and formulas in words. Text reaches the page here only, and as text.

function element(kind, attributes = {}, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function drawn(kind, attributes = {}, text = null) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== null) made.textContent = text;
  return made;
}

// Text on a canvas around x, but within its width.
function centred(g, text, x, y, wide) {
  const half = g.measureText(text).width / 2 + 1;
  g.textAlign = "center";
  g.fillText(text, Math.min(wide - half, Math.max(half, x)), y);
}

// A share as reports print it: 12.34%, 3e-09 where percents would round to 0, 0 only where it is exactly that.
function percent(share) {
  if (Number.isNaN(share)) return "no share";
  if (share === 0) return "0";
  return Math.abs(share) < 5e-5 ? exponential(share, 0) : `${(100 * share).toFixed(2)}%`;
}

// As Python writes it: 3e-09.
function exponential(x, digits) {
  return x.toExponential(digits).replace(/e([+-])(\d)$/, "e$10$2");
}

function magnitude(norm) {
  return norm === 0 ? "0 exactly" : number(norm, 3);
}

function number(x, digits = 4) {
  if (typeof x !== "number" || !Number.isFinite(x)) return String(x);
  if (x === 0) return "0";
  const size = Math.abs(x);
  return size < 1e-4 || size >= 1e6 ? exponential(x, digits - 1) : String(Number(x.toPrecision(digits)));
}

function shapeText(shape) {
  return shape.length ? `(${shape.join(", ")}${shape.length === 1 ? "," : ""})` : "scalar";
}

function called(node) {
  return node.shown ?? node.name ?? (node.op ? `result of ${node.op}` : node.tracked ? "unnamed leaf" : "constant");
}

const WIDE = 33; // characters in a line of the panel

// Arrays of up to 64 numbers, as many in a line as there is room for.
function arrayText(values, shape) {
  const row = shape.length ? shape[shape.length - 1] : 1;
  const texts = Array.from(values, (x) => number(x));
  const wide = Math.max(...texts.map((t) => t.length));
  const most = Math.max(1, Math.min(row, Math.floor((WIDE + 1) / (wide + 1))));
  const lines = [];
  for (let start = 0; start < texts.length; start += row || 1) {
    for (let k = start; k < start + row; k += most) {
      lines.push(texts.slice(k, Math.min(k + most, start + row)).map((t) => t.padStart(wide)).join(" "));
    }
  }
  return lines.join("\n");
}

// In a few words: [0.1 0.2], or of more elements their shape and range.
function briefly(node) {
  const [low, , high] = node.range;
  if (low === null) return shapeText(node.shape);
  if (node.size === 1) return number(low);
  if (node.values && node.size <= 4) return `[${node.values.map((x) => number(x, 3)).join(" ")}]`;
  return `${shapeText(node.shape)}, ${number(low, 3)} to ${number(high, 3)}`;
}
