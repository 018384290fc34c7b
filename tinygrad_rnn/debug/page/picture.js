// The graph as SVG. Only what is near the screen is in the document, and less of it the further away one looks, so that
// a hundred steps move as easily as five.

const CHUNK = 800; // points of the picture that come and go together
const NEAR = 0.62; // from this scale on all text is shown
const FAR = 0.1; // below this scale only steps and what crosses between them
const SMALLEST = 0.004;
const LARGEST = 4;
const LEGIBLE = 0.28; // below this scale names cannot be read

// data: as graph/coordinates.py has it. look(): what nodes and edges look like at this moment. pick(kind, id): a click.
function makePicture(svg, data, look, pick) {
  const nodes = data.nodes.map(([at, shape, again, x, y, w, h, gradientLine, lines], id) => {
    return { id, at, shape, again, x, y, w, h, gradientLine, lines, group: null, drawn: null };
  });
  const edges = data.edges.map(([source, target, uses, slot, crossing, points, tip, label, number], id) => {
    const xs = points.filter((_, k) => k % 2 === 0);
    return { id, source, target, uses, slot, crossing, points, tip, label, number, left: Math.min(...xs, tip[0]), right: Math.max(...xs, tip[0]), group: null, drawn: null };
  });
  const places = new Map(); // tensor -> its nodes
  for (const node of nodes) places.set(node.at, [...(places.get(node.at) ?? []), node]);
  const edgesOf = new Map(); // use -> its edge
  for (const edge of edges) for (const use of edge.uses) edgesOf.set(use, edge);

  const world = drawn("g");
  const layers = Object.fromEntries(["boxes", "edges", "crossings", "nodes", "words"].map((name) => [name, drawn("g", { class: name })]));
  world.append(...Object.values(layers));
  const farLabels = drawn("g", { class: "far-labels" });
  svg.append(world, farLabels);

  const boxes = data.boxes.map(([step, depth, left, top, right, bottom, heading]) => {
    const group = drawn("g", { class: depth === 0 ? "box" : "box inner" });
    group.append(drawn("rect", { x: left, y: top, width: right - left, height: bottom - top, rx: 10 }));
    group.append(drawn("text", { x: (left + right) / 2, y: top + (depth === 0 ? 22 : 15), class: depth === 0 ? "step" : "scope" }, heading));
    layers.boxes.append(group);
    return { step, depth, left, top, right, bottom, group };
  });
  const columns = boxes.filter((box) => box.depth === 0 && box.step !== null);

  const chunks = [];
  const chunkAt = (x) => (chunks[Math.max(0, Math.floor(x / CHUNK))] ??= { nodes: [], edges: [], left: Infinity, right: -Infinity, groups: null, shown: false });
  const long = [];
  for (const node of nodes) chunkAt(node.x).nodes.push(node);
  for (const edge of edges) {
    if (edge.crossing || edge.right - edge.left > CHUNK) long.push(edge);
    else chunkAt((edge.left + edge.right) / 2).edges.push(edge);
  }
  for (const chunk of chunks.filter(Boolean)) {
    for (const n of chunk.nodes) {
      chunk.left = Math.min(chunk.left, n.x - n.w / 2);
      chunk.right = Math.max(chunk.right, n.x + n.w / 2);
    }
    for (const e of chunk.edges) {
      chunk.left = Math.min(chunk.left, e.left);
      chunk.right = Math.max(chunk.right, e.right);
    }
  }

  const view = { x: 0, y: 0, scale: 1, width: 1, height: 1 };
  let waiting = 0;
  const listeners = [];

  function outline({ shape, x, y, w, h }) {
    const left = x - w / 2;
    const top = y - h / 2;
    const right = left + w;
    const bottom = top + h;
    if (shape === "parameter") {
      const r = 6;
      return [
        drawn("path", { class: "shape", d: `M${left},${top + r}A${w / 2},${r} 0 0 1 ${right},${top + r}V${bottom - r}A${w / 2},${r} 0 0 1 ${left},${bottom - r}Z` }),
        drawn("path", { class: "fold", d: `M${left},${top + r}A${w / 2},${r} 0 0 0 ${right},${top + r}` }),
      ];
    }
    if (shape === "leaf") {
      return [drawn("path", { class: "shape", d: `M${left},${bottom}V${top}H${left + w * 0.45}l5,5H${right}V${bottom}Z` })];
    }
    if (shape === "constant") {
      const c = Math.min(9, w / 3);
      return [
        drawn("path", { class: "shape", d: `M${left},${bottom}V${top}H${right - c}L${right},${top + c}V${bottom}Z` }),
        drawn("path", { class: "fold", d: `M${right - c},${top}V${top + c}H${right}` }),
      ];
    }
    if (shape === "output") {
      const c = Math.min(h, w) * 0.25;
      return [drawn("path", { class: "shape", d: `M${left + c},${top}H${right - c}L${right},${top + c}V${bottom - c}L${right - c},${bottom}H${left + c}L${left},${bottom - c}V${top + c}Z` })];
    }
    return [drawn("rect", { class: "shape", x: left, y: top, width: w, height: h, rx: 7 })];
  }

  function buildNode(node) {
    const group = drawn("g", { class: "node", "data-node": node.id });
    group.append(...outline(node));
    const high = node.lines.reduce((sum, [, size]) => sum + 1.2 * size, 0);
    let y = node.y - high / 2;
    node.lines.forEach(([text, size, style], k) => {
      const line = drawn("text", {
        x: node.x,
        y: (y + size * 0.95).toFixed(1),
        "font-size": size,
        class: `${style & 1 ? "bold" : ""} ${style & 2 ? "italic" : ""} ${k === 0 ? "first" : "rest"}`.trim(),
      }, text);
      if (k === node.gradientLine) node.gradientText = line;
      group.append(line);
      y += 1.2 * size;
    });
    // For reading from further away: the name alone.
    group.append(...briefOf(node, node.at < 0 ? node.lines[0][0] : look.brief(node)));
    node.group = group;
    node.drawn = null;
    return group;
  }

  function buildEdge(edge) {
    const p = edge.points;
    let d = `M${p[0]},${p[1]}`;
    for (let k = 2; k + 5 < p.length; k += 6) d += `C${p.slice(k, k + 6).join(" ")}`;
    const group = drawn("g", { class: `edge${edge.crossing ? " crossing" : ""}`, "data-edge": edge.id });
    edge.head = drawn("path", { class: "head" });
    edge.line = drawn("path", { class: "line", d });
    edge.words = drawn("text", { class: "flow", x: edge.number[0], y: edge.number[1], dy: "0.36em" });
    group.append(drawn("path", { class: "hit", d }), edge.line, edge.head);
    if (edge.slot !== null) group.append(drawn("text", { class: "slot", x: edge.label[0], y: edge.label[1] }, String(edge.slot)));
    edge.group = group;
    edge.drawn = null;
    return group;
  }

  // Looks are compared as text, so that what did not change is not touched.
  function paintNode(node) {
    const { classes, gradient } = look.node(node);
    const said = `${classes}|${gradient}`;
    if (said === node.drawn) return;
    node.drawn = said;
    node.group.setAttribute("class", `node ${node.shape}${node.again ? " again" : ""} ${classes}`);
    if (node.gradientText) node.gradientText.textContent = gradient;
  }

  function paintEdge(edge) {
    const { classes, width, label } = look.edge(edge);
    const said = `${classes}|${width}|${label}`;
    if (said === edge.drawn) return;
    edge.drawn = said;
    edge.group.setAttribute("class", `edge${edge.crossing ? " crossing" : ""} ${classes}`);
    edge.words.setAttribute("class", `flow ${classes}`);
    edge.line.setAttribute("stroke-width", width);
    const size = 4 + width * 1.1;
    const [x, y] = edge.tip;
    const p = edge.points;
    const angle = Math.atan2(y - p[p.length - 1], x - p[p.length - 2]) || 0;
    const [ux, uy] = [Math.cos(angle), Math.sin(angle)];
    const reach = Math.max(8, size);
    const corner = (side) => `${(x - ux * reach - side * uy * size * 0.6).toFixed(1)},${(y - uy * reach + side * ux * size * 0.6).toFixed(1)}`;
    edge.head.setAttribute("d", `M${x},${y}L${corner(1)}L${corner(-1)}Z`);
    edge.words.textContent = label;
  }

  function show(chunk, visible) {
    if (chunk.shown === visible) return;
    chunk.shown = visible;
    if (!visible) {
      for (const group of chunk.groups) group.remove();
      return;
    }
    if (!chunk.groups) {
      chunk.groups = [drawn("g"), drawn("g"), drawn("g")];
      chunk.groups[0].append(...chunk.edges.map(buildEdge));
      chunk.groups[1].append(...chunk.nodes.map(buildNode));
      chunk.groups[2].append(...chunk.edges.map((edge) => edge.words));
    }
    layers.edges.append(chunk.groups[0]);
    layers.nodes.append(chunk.groups[1]);
    layers.words.append(chunk.groups[2]);
    paintChunk(chunk);
  }

  function paintChunk(chunk) {
    chunk.edges.forEach(paintEdge);
    chunk.nodes.forEach(paintNode);
  }

  function update() {
    waiting = 0;
    const { x, y, scale, width } = view;
    world.setAttribute("transform", `translate(${x.toFixed(2)},${y.toFixed(2)}) scale(${scale.toFixed(5)})`);
    const level = scale < FAR ? "far" : scale < NEAR ? "middle" : "near";
    svg.setAttribute("data-level", level);
    svg.style.setProperty("--number", `${Math.min(20, Math.max(11, 11 / scale)).toFixed(1)}px`);
    const left = -x / scale;
    const right = (width - x) / scale;
    for (const chunk of chunks) if (chunk) show(chunk, level !== "far" && chunk.right >= left && chunk.left <= right);
    for (const edge of long) {
      const visible = edge.right >= left && edge.left <= right && (edge.crossing || level !== "far");
      if (visible && !edge.group) buildEdge(edge);
      if (visible && !edge.group.isConnected) {
        layers.crossings.append(edge.group);
        layers.words.append(edge.words);
        paintEdge(edge);
      } else if (!visible && edge.group?.isConnected) {
        edge.group.remove();
        edge.words.remove();
      }
    }
    for (const box of boxes) {
      const visible = box.right >= left && box.left <= right && (box.depth === 0 || level !== "far");
      if (visible !== box.group.isConnected) visible ? layers.boxes.append(box.group) : box.group.remove();
    }
    labelSteps(level, left, right);
    for (const listener of listeners) listener(view);
  }

  // From far away the headings cannot be read: every so many steps a number in the size of the screen.
  function labelSteps(level, left, right) {
    farLabels.replaceChildren();
    if (level !== "far") return;
    let last = -Infinity;
    for (const box of columns) {
      const at = ((box.left + box.right) / 2) * view.scale + view.x;
      if (box.right < left || box.left > right || at - last < 64) continue;
      last = at;
      farLabels.append(drawn("text", { x: Math.max(24, at).toFixed(1), y: Math.max(14, box.top * view.scale + view.y - 8).toFixed(1) }, `step ${box.step}`));
    }
  }

  function later() {
    if (!waiting) waiting = requestAnimationFrame(update);
  }

  function refresh() {
    for (const chunk of chunks) if (chunk?.shown) paintChunk(chunk);
    for (const edge of long) if (edge.group?.isConnected) paintEdge(edge);
  }

  function measure() {
    const box = svg.getBoundingClientRect();
    view.width = box.width || 900;
    view.height = box.height || 500;
  }

  function zoomAt(factor, px = view.width / 2, py = view.height / 2) {
    const scale = Math.min(LARGEST, Math.max(SMALLEST, view.scale * factor));
    view.x = px - ((px - view.x) * scale) / view.scale;
    view.y = py - ((py - view.y) * scale) / view.scale;
    view.scale = scale;
    later();
  }

  function panBy(dx, dy) {
    view.x += dx;
    view.y += dy;
    later();
  }

  // All of it where that can be read, else its full height, around what stood at `x` of it.
  function fit(x = (view.width / 2 - view.x) / view.scale) {
    measure();
    const [wide, high] = [(view.width - 24) / data.width, (view.height - 24) / data.height];
    view.scale = Math.min(1.2, wide, high);
    if (view.scale < LEGIBLE) view.scale = Math.min(0.8, high);
    const [all, most] = [data.width * view.scale, view.width - 24];
    view.x = all <= most ? (view.width - all) / 2 : Math.max(view.width - 12 - all, Math.min(12, view.width / 2 - x * view.scale));
    view.y = (view.height - data.height * view.scale) / 2;
    later();
  }

  // A long one begins at its end, where the losses are.
  const begin = () => fit(data.width);

  function center(x, y, scale = view.scale) {
    view.scale = scale;
    view.x = view.width / 2 - x * scale;
    view.y = view.height / 2 - y * scale;
    later();
  }

  function isSeen(node) {
    const x = node.x * view.scale + view.x;
    const y = node.y * view.scale + view.y;
    const margin = 60;
    return x > margin && x < view.width - margin && y > margin / 2 && y < view.height - margin / 2;
  }

  // Move just as far as needed for a node to be seen.
  function reveal(node) {
    if (view.scale < FAR) return center(node.x, node.y, 0.5);
    if (!isSeen(node)) center(node.x, data.height * view.scale < view.height ? data.height / 2 : node.y);
  }

  // The same for any one of some nodes: the nearest where none is seen.
  function revealOne(some) {
    if (!some.length || some.some(isSeen)) return;
    const middle = (view.width / 2 - view.x) / view.scale;
    reveal(some.reduce((a, b) => (Math.abs(b.x - middle) < Math.abs(a.x - middle) ? b : a)));
  }

  // Mouse, fingers and wheel. Two pointers zoom.
  const pointers = new Map();
  let moved = 0;
  svg.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    moved = 0;
  });
  svg.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
    moved += Math.abs(dx) + Math.abs(dy);
    if (moved > 4 && !svg.hasPointerCapture(event.pointerId)) svg.setPointerCapture(event.pointerId);
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const distance = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]) || 1;
      const box = svg.getBoundingClientRect();
      const middle = [(event.clientX + other[0]) / 2 - box.left, (event.clientY + other[1]) / 2 - box.top];
      zoomAt(distance([event.clientX, event.clientY]) / distance(before), ...middle);
    } else panBy(dx, dy);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  for (const kind of ["pointerup", "pointercancel", "pointerleave"]) {
    svg.addEventListener(kind, (event) => pointers.delete(event.pointerId));
  }
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    if (event.shiftKey) panBy(-event.deltaY - event.deltaX, 0);
    else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) panBy(-event.deltaX, 0);
    else zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  svg.addEventListener("click", (event) => {
    if (moved > 4) return;
    const group = event.target.closest("[data-node], [data-edge]");
    if (!group) pick(null);
    else if (group.dataset.node !== undefined) pick("node", nodes[group.dataset.node]);
    else pick("edge", edges[group.dataset.edge]);
  });
  new ResizeObserver(() => {
    if (svg.hasAttribute("viewBox")) return; // it is being printed
    measure();
    later();
  }).observe(svg);

  return {
    nodes, edges, places, edgesOf, columns, view, width: data.width,
    refresh, begin, fit, zoomAt, panBy, center, reveal, revealOne,
    onView: (listener) => listeners.push(listener),
    count: () => svg.querySelectorAll("*").length,
  };
}
