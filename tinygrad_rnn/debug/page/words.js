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
  return node.shown ?? node.name ?? (node.op ? `result of ${node.op}` : "constant");
}

// Forward, then one rule for each input: what the edge makes of g, the gradient that arrives at the result y.
const FORMULAS = {
  identity: ["y = x", "g"],
  astype: ["y = x, in another precision", "g"],
  add: ["y = a + b", "g", "g"],
  subtract: ["y = a − b", "g", "−g"],
  multiply: ["y = a · b", "g · b", "g · a"],
  divide: ["y = a / b", "g / b", "−g · y / b"],
  negative: ["y = −x", "−g"],
  power: ["y = aᵇ", "g · b · aᵇ⁻¹", "g · y · log a"],
  exp: ["y = eˣ", "g · y"],
  expm1: ["y = eˣ − 1", "g · eˣ"],
  log: ["y = log x", "g / x"],
  log1p: ["y = log(1 + x)", "g / (1 + x)"],
  sqrt: ["y = √x", "g / 2y"],
  square: ["y = x²", "g · 2x"],
  sin: ["y = sin x", "g · cos x"],
  cos: ["y = cos x", "−g · sin x"],
  abs: ["y = |x|", "g · sign x"],
  tanh: ["y = tanh x", "g · (1 − y²)"],
  sigmoid: ["y = σ(x) = 1 / (1 + e⁻ˣ)", "g · y · (1 − y)"],
  softplus: ["y = log(1 + eˣ)", "g · σ(x)"],
  relu: ["y = max(x, 0)", "g where x > 0, else 0"],
  where: ["y = a where c, else b", "", "g where c, else 0", "0 where c, else g"],
  maximum: ["y = max(a, b)", "g where a is the larger, half at a tie", "g where b is the larger, half at a tie"],
  minimum: ["y = min(a, b)", "g where a is the smaller, half at a tie", "g where b is the smaller, half at a tie"],
  clip: ["y = x, kept between two bounds", "g within the bounds, else 0"],
  sum: ["y = Σ x", "g, to every element that was added"],
  max: ["y = max x", "g, to the largest element"],
  min: ["y = min x", "g, to the smallest element"],
  logsumexp: ["y = log Σ eˣ", "g · eˣ⁻ʸ"],
  softmax: ["y = eˣ / Σ eˣ", "y · (g − Σ g · y)"],
  log_softmax: ["y = x − log Σ eˣ", "g − eʸ · Σ g"],
  cumsum: ["y = running sum of x", "running sum of g from the end"],
  reshape: ["y = x, in another shape", "g, in the shape of x"],
  transpose: ["y = x, its axes in another order", "g, its axes put back"],
  broadcast_to: ["y = x, repeated", "g, summed over the copies"],
  concatenate: ["y = the inputs behind one another"],
  stack: ["y = the inputs beside one another"],
  pad: ["y = x with a margin", "g without the margin"],
  slice: ["y = x[…]", "g, put back into zeros"],
  gather: ["y = x[indices]", "g, added where each element came from"],
  put_slice: ["y = x put into zeros", "the part of g that came from x"],
  scatter_add: ["y = x added into zeros", "the elements of g that x was added to"],
  matmul: ["y = a b", "g bᵀ", "aᵀ g"],
  linear: ["y = x Wᵀ + b", "g W", "gᵀ x", "g, summed over the batch"],
  einsum: ["y = an Einstein sum", ""],
};

const EVERY_INPUT = { concatenate: "its part of g", stack: "its part of g", einsum: "the Einstein sum of g with the others" };

function ruleText(op, slot) {
  return EVERY_INPUT[op] ?? FORMULAS[op]?.[slot + 1] ?? "its rule in the table of operations";
}

// Arrays of up to 64 numbers, four in a line.
function arrayText(values, shape) {
  const row = shape.length ? shape[shape.length - 1] : 1;
  const texts = Array.from(values, (x) => number(x));
  const wide = Math.max(...texts.map((t) => t.length));
  const lines = [];
  for (let k = 0; k < texts.length; k += Math.min(row, 4) || 1) {
    const end = Math.min(k + Math.min(row, 4), texts.length);
    lines.push(texts.slice(k, end).map((t) => t.padStart(wide)).join(" "));
  }
  return lines.join("\n");
}
