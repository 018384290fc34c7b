// The page put together: one state, and what to do when it changes.

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const tape = readTape(data);
const timeline = makeTimeline(tape, data.events);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let position = data.events.length;
let source = data.sources[0];
let paths = null; // from the source to the losses
let whole = null; // the answer for all paths
let lit = null; // what is lit up instead of all paths: {label, places, flow, share, ...}; places: ids of drawn nodes
let selected = null; // {kind: "node" or "edge", id}
let everything = null; // the gradients of all tensors
let playing = 0;
let holding = new Set(); // the tensors that hold the gradient at this moment

function say(text) {
  byId("spoken").textContent = text;
}

// On an edge: a dash below 1 %; where several uses are drawn as one, what went either way if it is more than that.
function edgeLabel(shares, share) {
  const text = (x) => `${(100 * x).toFixed(Math.abs(x) < 0.1 ? 1 : 0).replace("-", "−")}`;
  const up = shares.filter((x) => x > 0).reduce((a, b) => a + b, 0);
  const down = shares.filter((x) => x < 0).reduce((a, b) => a + b, 0);
  const both = Math.min(up, -down) > 0.01 ? ` (+${text(up)} ${text(down)})` : "";
  return Math.abs(share) < 0.01 && !both ? "–" : `${text(share)}%${both}`;
}

// What one looks at now is never dimmed, whatever is lit.
function isAttended(name) {
  return name === "now" || name === "fed" || name === "selected";
}

// Looks ---------------------------------------------------------------------------------------------------------------

const look = {
  brief({ at, lines }) {
    const { name, shown, op } = tape.nodes[at];
    return name === undefined ? (op ?? lines[0][0]) : (shown ?? name);
  },
  node({ at, id }) {
    if (at < 0) return { classes: "", gradient: "" };
    const node = tape.nodes[at];
    const classes = [];
    if (timeline.madeAt[at] >= position) classes.push("unmade");
    if (position < data.events.length && position > 0 && timeline.nodeOf(data.events[position - 1]) === at) classes.push("now");
    if (selected?.kind === "node" && selected.id === at) classes.push("selected");
    if (lit && !lit.places.has(id) && !classes.some(isAttended)) classes.push("dim");
    if (at === source) classes.push("source");
    if (holding.has(at)) classes.push("holds");
    const total = timeline.arrivals[at].length;
    const got = timeline.received(at, position);
    const gradient = !got || node.norm === null ? "grad –" : got < total ? `grad ${got} of ${total}` : `|grad| ${number(node.norm, 3)}`;
    return { classes: classes.join(" "), gradient };
  },
  edge({ uses }) {
    if (!uses.length) return { classes: lit ? "constant dim" : "constant", width: 1, label: "" };
    const classes = [];
    const passed = uses.every((use) => timeline.passedAt[use] < position);
    if (uses.every((use) => timeline.madeAt[tape.edges[use].consumer] >= position)) classes.push("unmade");
    if (position > 0 && position < data.events.length) {
      const [kind, id] = data.events[position - 1];
      if (kind === PASSED && uses.includes(id)) classes.push("now");
      else if (kind === MADE && uses.some((use) => tape.edges[use].consumer === id)) classes.push("fed");
    }
    if (selected?.kind === "edge" && uses.includes(selected.id)) classes.push("selected");
    const flow = (lit ?? whole)?.flow;
    const shares = passed && flow ? uses.map((use) => flow[use]).filter((share) => !Number.isNaN(share)) : [];
    if (!shares.length) {
      if (passed) classes.push("no-path");
      if (lit && !classes.some(isAttended)) classes.push("dim");
      return { classes: classes.join(" "), width: 1.2, label: "" };
    }
    const share = shares.reduce((a, b) => a + b, 0);
    classes.push(share < 0 ? "negative" : "positive");
    if (Math.abs(share) < 0.01) classes.push("small");
    const width = Number((1.2 + 7 * Math.min(1, Math.abs(share))).toFixed(2));
    return { classes: classes.join(" "), width, label: edgeLabel(shares, share) };
  },
};

const picture = makePicture(byId("graph"), data.picture, look, (kind, item) => {
  if (kind === "node" && item.at >= 0) app.selectNode(item.at, item);
  else if (kind === "edge" && item.uses.length) app.selectEdge(item.uses[0]);
  else if (kind === null) clear();
});

const app = {
  tape,
  timeline,
  position: () => position,
  source: () => source,
  isLit: () => lit !== null,
  flow: () => (lit ?? whole)?.flow ?? new Float64Array(tape.edges.length).fill(NaN),
  frontier: (at) => (whole ? timeline.frontier(at, source, lit ?? whole) : []),
  cotangents() {
    if (everything === null) {
      const all = allPaths(tape);
      everything = all.missing ? false : sweepBack(all, EVERY_PATH).map((rows) => rows?.get(0));
    }
    return everything || null;
  },
  goto,
  setSource,
  selectNode(at, place = null) {
    selected = { kind: "node", id: at };
    details.showNode(at);
    const places = picture.places.get(at);
    if (places && !place) picture.reveal(places.at(-1));
    picture.refresh();
    say(`Selected: ${whereOf(tape.nodes[at])}${called(tape.nodes[at])}`);
  },
  selectEdge(id) {
    selected = { kind: "edge", id };
    details.showEdge(id);
    picture.refresh();
    const edge = tape.edges[id];
    say(`Selected: the edge from ${called(tape.nodes[edge.producer])} to ${called(tape.nodes[edge.consumer])}`);
  },
};
const details = makeDetails(byId("details"), app);

// The timeline ---------------------------------------------------------------------------------------------------------

const slider = byId("position");
slider.max = data.events.length;
slider.style.setProperty("--split", `${(100 * timeline.forward) / data.events.length}%`);

function goto(to, follow = true) {
  position = Math.max(0, Math.min(data.events.length, to));
  selected = null;
  hold();
  slider.value = position;
  const sentence = timeline.sentence(position);
  slider.setAttribute("aria-valuetext", sentence);
  byId("moment").textContent = sentence;
  byId("count").textContent = `${position} / ${data.events.length}`;
  details.showMoment(position);
  if (follow && byId("follow").checked && position > 0 && position < data.events.length) {
    const event = data.events[position - 1];
    const at = event[0] === PASSED ? tape.edges[event[1]].consumer : event[1];
    const place = picture.places.get(at)?.[0];
    if (place) picture.reveal(place);
  }
  picture.refresh();
}

// While gradient is on its way, those that have it.
function hold() {
  const isOnItsWay = position > timeline.forward && position < data.events.length;
  holding = new Set(isOnItsWay ? app.frontier(position).map(([at]) => at) : []);
}

function play() {
  if (playing) return pause();
  if (position >= data.events.length) goto(0);
  byId("play").setAttribute("aria-pressed", "true");
  byId("play").textContent = "Pause";
  let before = performance.now();
  let owed = 0;
  const tick = (now) => {
    owed += ((now - before) / 1000) * Number(byId("speed").value);
    before = now;
    const whole = Math.floor(owed);
    owed -= whole;
    if (whole) goto(position + whole);
    if (position >= data.events.length) pause();
    else if (playing) playing = requestAnimationFrame(tick);
  };
  playing = requestAnimationFrame(tick);
}

function pause() {
  cancelAnimationFrame(playing);
  playing = 0;
  byId("play").setAttribute("aria-pressed", "false");
  byId("play").textContent = "▶ Play";
}

function step(by) {
  pause();
  goto(position + by);
}

function stepTime(by) {
  pause();
  goto(timeline.nextStep(position, by));
}

slider.addEventListener("input", () => {
  pause();
  goto(Number(slider.value));
});
for (const [id, act] of Object.entries({
  first: () => step(-Infinity), back: () => step(-1), play, next: () => step(1), last: () => step(Infinity),
  "step-back": () => stepTime(-1), "step-next": () => stepTime(1),
  fit: () => picture.fit(), "zoom-in": () => picture.zoomAt(1.4), "zoom-out": () => picture.zoomAt(1 / 1.4),
  help: () => byId("help-text").showModal(), theme: () => changeTheme(), print: () => window.print(),
})) byId(id).addEventListener("click", act);

// Sources and routes -----------------------------------------------------------------------------------------------------

const choice = byId("source");

function sourceName(at) {
  const node = tape.nodes[at];
  return `${called(node)} ${shapeText(node.shape)}${node.step === null ? "" : `, step ${node.step}`}`;
}

function setSource(at) {
  source = at;
  if (![...choice.options].some((option) => Number(option.value) === at)) choice.append(element("option", { value: at, text: sourceName(at) }));
  choice.value = at;
  lit = null;
  paths = pathsBetween(tape, source, tape.losses);
  if (paths.missing) {
    whole = null;
    notAvailable();
  } else {
    whole = ask(paths, EVERY_PATH, () => true);
    byId("route-missing").hidden = true;
    byId("route-form").hidden = false;
    ledger.compute(tape, source, whole.gradient, (table) => describeLedger(table));
  }
  suggestRoutes();
  byId("answer").replaceChildren();
  repaint();
  showDetails();
}

function repaint() {
  hold();
  legend();
  picture.refresh();
  strip();
}

function showDetails() {
  if (selected?.kind === "node") details.showNode(selected.id);
  else if (selected?.kind === "edge") details.showEdge(selected.id);
  else details.showMoment(position);
}

function notAvailable() {
  const edge = paths.missing;
  byId("route-missing").hidden = false;
  byId("route-form").hidden = true;
  byId("route-missing").textContent =
    `Shares, routes and the ledger are not available here: the derivative of ${tape.nodes[edge.consumer].op} by its input ${edge.slot} is too large for a page. ` +
    "In Python: tg.trace_gradient(loss, to=tensor).across(\"…\")";
}

function suggestRoutes() {
  const chips = byId("chips");
  chips.replaceChildren();
  if (!paths || paths.missing) return;
  const { along, across } = landmarksOf(paths);
  const quoted = (name) => (/^[\p{L}\p{Nl}\p{No}_][\p{L}\p{N}_]*$/u.test(name) ? name : `'${name.replaceAll("'", "''")}'`);
  const ideas = [...across].filter((name) => name !== "_").slice(0, 4).flatMap((name) => [["across", `${quoted(name)}*`]]);
  const through = [...along].filter((name) => !across.has(name) && !/["'\\]/.test(name)).slice(0, 5);
  ideas.push(["across", ". .*"], ...through.map((name) => ["along", `.* ${quoted(name)} .*`]));
  for (const [kind, text] of ideas) {
    chips.append(element("button", { type: "button", class: "chip", text: `${kind} ${text}`, onclick: () => {
      byId("kind").value = kind;
      byId("route").value = text;
      showRoute();
    } }));
  }
}

const EMPTY_ROUTE = {
  across: "the paths that never cross to another step",
  along: "the paths that meet no name on their way",
};

function showRoute() {
  const text = byId("route").value;
  ledger.clear();
  try {
    const route = parseRoute(text, byId("kind").value);
    const automaton = automatonOf(route, paths);
    const found = ask(paths, automaton, automaton.accepts, whole.gradient);
    const label = COMBINED.test(text) ? text : `${byId("kind").value}("${text}")`;
    light(route.expression === EMPTY ? `${label}, the empty route: ${EMPTY_ROUTE[route.kind]}` : label, found);
    return { share: found.share, norm: found.norm, connected: found.connected, states: automaton.count(), flow: found.flow };
  } catch (error) {
    if (!(error instanceof RouteError)) throw error;
    lit = null; // what was lit before is not what was asked for now
    repaint();
    showDetails();
    const parts = [element("p", { class: "problem", text: error.message })];
    if (error.at !== null) parts.push(element("pre", { class: "problem", text: `${text}\n${" ".repeat([...text.slice(0, error.at)].length)}^` }));
    byId("answer").replaceChildren(...parts);
    byId("route").setAttribute("aria-invalid", "true");
    return { error: error.message, at: error.at };
  }
}

function bar(share) {
  const svg = drawn("svg", { class: "bar", viewBox: "-100 0 200 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  const size = Math.max(-100, Math.min(100, 100 * (share || 0)));
  svg.append(drawn("rect", { x: -100, y: 0, width: 200, height: 10, class: "track" }));
  svg.append(drawn("rect", { x: Math.min(0, size), y: 0, width: Math.abs(size), height: 10, class: size < 0 ? "negative" : "positive" }));
  svg.append(drawn("rect", { x: -0.4, y: 0, width: 0.8, height: 10, class: "zero" }));
  return svg;
}

// What is lit: only its paths keep their colours. The words above the graph and the Route panel tell of the same.
// goTo: of which uses one is to be seen afterwards.
function light(label, found, goTo = () => true) {
  const isOn = (use) => !Number.isNaN(found.flow[use]);
  const edges = picture.edges.filter((edge) => edge.uses.some(isOn));
  lit = { label, places: new Set(edges.flatMap((edge) => [edge.source, edge.target])), ...found };
  goto(data.events.length);
  repaint();
  showAnswer();
  const wanted = edges.filter((edge) => edge.uses.some((use) => isOn(use) && goTo(tape.edges[use])));
  picture.revealOne((wanted.length ? wanted : edges).map((edge) => picture.nodes[edge.target]));
  say(`${label}: ${found.connected ? `share ${percent(found.share)}, norm ${magnitude(found.norm)}` : "no path"}`);
}

function showAnswer() {
  byId("route").removeAttribute("aria-invalid");
  byId("answer").replaceChildren(
    element("p", { text: lit.label }),
    element("p", { class: "share", text: lit.connected ? percent(lit.share) : "no path" }),
    element("p", { text: lit.connected
      ? `of the gradient of ${called(tape.nodes[source])}, norm ${magnitude(lit.norm)}; all other paths: ${percent(1 - lit.share)}. Lit up in the graph; Esc shows all paths again.`
      : "No path from the source to the loss is like this." }),
    bar(lit.share),
  );
}

function clear() {
  const something = lit || selected;
  lit = null;
  selected = null;
  ledger.clear();
  byId("answer").replaceChildren();
  if (!something) return;
  repaint();
  details.showMoment(position);
}

byId("route-form").addEventListener("submit", (event) => {
  event.preventDefault();
  showRoute();
});
choice.addEventListener("change", () => setSource(Number(choice.value)));

// The ledger ---------------------------------------------------------------------------------------------------------------

const ledger = makeLedger(
  byId("ledger"),
  (text) => { byId("cell").textContent = text; },
  ([row, column], table) => {
    const paths = pathsBetween(tape, source, [tape.losses[row]]);
    const found = ask(paths, table.uses, table.uses.accepts(column), whole.gradient);
    const loss = table.lossSteps[row] === null ? "the loss" : `the loss at step ${table.lossSteps[row]}`;
    byId("route").value = ""; // what stands there was not asked for
    light(`from ${loss} to the use ${table.steps[column] === null ? "outside any step" : `at step ${table.steps[column]}`}`, found, table.uses.isUse);
  },
);

function describeLedger(table) {
  const losses = table.rows === 1 ? "one loss" : `${table.rows} losses`;
  byId("ledger").setAttribute("aria-label", `Heat map of the ledger: ${losses}, ${table.columns} steps of use. Arrow keys move from cell to cell, Enter lights up its paths.`);
}

byId("ledger-colour").addEventListener("change", (event) => ledger.colour(event.target.value));

// The strip below the graph: what comes across each step boundary, and where one is ---------------------------------------------

const canvas = byId("strip");

function boundaries() {
  const flow = app.flow();
  const found = new Map();
  for (const edge of tape.edges) {
    const [a, b] = [tape.nodes[edge.producer].step, tape.nodes[edge.consumer].step];
    if (a === null || b === null || a === b || Number.isNaN(flow[edge.id])) continue;
    for (let t = Math.min(a, b); t < Math.max(a, b); t++) {
      const sum = found.get(t) ?? { net: 0, gross: 0 };
      sum.net += flow[edge.id];
      sum.gross += Math.abs(flow[edge.id]);
      found.set(t, sum);
    }
  }
  return found;
}

let across = new Map();

function strip() {
  across = boundaries();
  drawStrip();
}

function drawStrip() {
  const ratio = window.devicePixelRatio || 1;
  const [wide, high] = [canvas.clientWidth, canvas.clientHeight];
  if (!wide) return;
  canvas.width = Math.round(wide * ratio);
  canvas.height = Math.round(high * ratio);
  const g = canvas.getContext("2d");
  g.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const to = wide / picture.width;
  for (const column of picture.columns) {
    const sum = across.get(column.step);
    const [left, right] = [column.left * to, column.right * to];
    g.fillStyle = colour("--empty");
    g.fillRect(left, 0, Math.max(0.5, right - left - 0.5), high - 12);
    if (!sum) continue;
    const size = Math.min(1, Math.abs(sum.net)) * (high - 12);
    g.fillStyle = colour(sum.net < 0 ? "--negative" : "--positive");
    g.fillRect(left, high - 12 - Math.max(1, size), Math.max(0.5, right - left - 0.5), Math.max(1, size));
  }
  g.fillStyle = getComputedStyle(canvas).color;
  g.font = "10px system-ui, sans-serif";
  let last = -Infinity;
  for (const column of picture.columns) {
    const x = ((column.left + column.right) / 2) * to;
    if (x - last < 26) continue;
    last = x;
    centred(g, String(column.step), x, high - 2, wide);
  }
  const { x, scale, width } = picture.view;
  g.strokeStyle = getComputedStyle(canvas).color;
  g.lineWidth = 2;
  const left = Math.max(1, (-x / scale) * to);
  g.strokeRect(left, 1, Math.max(3, Math.min(wide - 1, ((width - x) / scale) * to) - left), high - 13);
}

picture.onView(drawStrip);
new ResizeObserver(drawStrip).observe(canvas);
function stripTo(event) {
  const box = canvas.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * picture.width;
  picture.panBy(picture.view.width / 2 - (x * picture.view.scale + picture.view.x), 0);
}
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  stripTo(event);
});
canvas.addEventListener("pointermove", (event) => {
  if (event.buttons) stripTo(event);
  const box = canvas.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * picture.width;
  const column = picture.columns.find((one) => one.left <= x && x <= one.right);
  const sum = column && across.get(column.step);
  canvas.title = column ? `step ${column.step}${sum ? `: across its far boundary flows net ${percent(sum.net)}, gross ${percent(sum.gross)}` : ""}` : "";
});

// Search -------------------------------------------------------------------------------------------------------------------

const searchable = tape.nodes.map((node) => `${node.name ?? ""} ${node.shown ?? ""} ${node.op ?? ""} ${node.scope} ${node.step === null ? "" : `step ${node.step} step${node.step}`}`.toLowerCase());

// What is called exactly so comes first, then what is computed so, or stands in such a scope.
function exactness(node, word) {
  if (node.name?.toLowerCase() === word) return 2;
  return Number(node.op === word || node.scope.toLowerCase().split("/").includes(word));
}

function search() {
  const text = byId("search").value.trim().toLowerCase();
  const results = byId("results");
  results.replaceChildren();
  byId("found").textContent = "";
  if (!text) return [];
  const words = text.split(/\s+/u);
  const isStep = (word) => /^(step)?\d+$/.test(word);
  const has = (here, word) => (isStep(word) ? ` ${here} `.includes(` ${word} `) : here.includes(word));
  let found = tape.nodes.filter((node) => words.every((word) => has(searchable[node.at], word)));
  const wanted = words.filter((word) => !isStep(word) && word !== "step");
  if (wanted.length > 1) wanted.push(wanted.join(" ")); // a name may have spaces
  const ranks = new Map(found.map((node) => [node, wanted.reduce((sum, word) => sum + exactness(node, word), 0)]));
  found.sort((a, b) => ranks.get(b) - ranks.get(a) || a.at - b.at);
  // Who asks for the h of one step does not ask for all that has an h in a word there.
  if (words.some(isStep)) found = found.filter((node) => ranks.get(node) === ranks.get(found[0]));
  byId("found").textContent = found.length
    ? `${found.length} found`
    : `Nothing is called “${text}”: search for a name, an operation, a scope or a step, such as h step 3`;
  for (const node of found.slice(0, 30)) {
    const button = element("button", { type: "button", class: "link", text: `${whereOf(node)}${called(node)}`, onclick: () => app.selectNode(node.at) });
    results.append(element("li", {}, button));
  }
  return found.map((node) => node.at);
}

byId("search").addEventListener("input", search);
byId("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter") byId("results").querySelector("button")?.click();
});

// Words about the whole --------------------------------------------------------------------------------------------------------

function legend() {
  const text = byId("lit");
  const name = called(tape.nodes[source]);
  if (lit) text.textContent = `Lit: ${lit.label} — ${lit.connected ? `${percent(lit.share)} of the gradient of ${name}` : "no path"}`;
  else if (!whole) text.textContent = "No shares: see the Route panel.";
  else if (whole.norm === 0) text.textContent = `The gradient of ${name} is exactly 0, so there are no shares.`;
  else if (!Number.isFinite(whole.norm)) text.textContent = `The gradient of ${name} is not finite (${whole.norm}), so there are no shares.`;
  else text.textContent = `Width and number of an edge: its share of the gradient of ${name}, norm ${magnitude(whole.norm)}.`;
  byId("clear").hidden = !lit;
}
byId("clear").addEventListener("click", clear);

function changeTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  ledger.draw();
  drawStrip();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  ledger.draw();
  drawStrip();
});

// What is printed is what is on the screen, in the size of the paper.
window.addEventListener("beforeprint", () => byId("graph").setAttribute("viewBox", `0 0 ${picture.view.width} ${picture.view.height}`));
window.addEventListener("afterprint", () => byId("graph").removeAttribute("viewBox"));

// The keyboard ------------------------------------------------------------------------------------------------------------------

const KEYS = {
  " ": play, n: () => step(1), b: () => step(-1), ".": () => stepTime(1), ",": () => stepTime(-1),
  Home: () => step(-Infinity), End: () => step(Infinity), Escape: clear,
  "+": () => picture.zoomAt(1.4), "-": () => picture.zoomAt(1 / 1.4), 0: () => picture.fit(),
  "/": () => byId("search").focus(), r: () => byId("route").focus(), "?": () => byId("help-text").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input:not([type=range]):not([type=checkbox]), select, textarea");
  if (event.key === "Escape" && typing) return event.target.blur();
  if (typing || (event.target.matches("button, summary") && event.key === " ") || byId("help-text").open) return;
  if (!byId("letters").checked && event.key.length === 1) return;
  if (event.target === slider && ["Home", "End"].includes(event.key)) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

// With the graph in focus the arrow keys walk along its edges: left to what a tensor is computed from, right to its use.
byId("graph").addEventListener("keydown", (event) => {
  const moves = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];
  if (!moves.includes(event.key)) return;
  event.preventDefault();
  const here = selected?.kind === "node" ? selected.id : selected ? tape.edges[selected.id].consumer : null;
  if (here === null) return app.selectNode(tape.losses[0]);
  const uses = tape.nodes.filter((node) => node.inputs.includes(here)).map((node) => node.at);
  const onward = event.key === "ArrowLeft" ? tape.nodes[here].inputs.filter((at) => picture.places.has(at))
    : event.key === "ArrowRight" ? uses : null;
  const beside = event.key === "ArrowUp" ? here + 1 : here - 1;
  const to = onward ? onward.find((at) => tape.nodes[at].op) ?? onward[0] : beside;
  if (to !== undefined && tape.nodes[to]) app.selectNode(to);
});

// Begin ----------------------------------------------------------------------------------------------------------------------------

byId("about").textContent = data.about;
byId("graph-title").textContent = data.about;
for (const at of data.sources) choice.append(element("option", { value: at, text: sourceName(at) }));
if (calm.matches) byId("speed").value = "1";
setSource(source);
goto(data.events.length);
picture.begin();  // last: the words above and below the picture take their room first
// For tests and for the console: what the page knows, without any way to change it but the page's own.
window.explorer = Object.freeze({
  tape, timeline, picture, ledger, showRoute, search, goto, setSource, clear,
  light: () => lit, answer: () => whole, position: () => position, flow: () => app.flow(), frontier: (at) => app.frontier(at), selectNode: app.selectNode, selectEdge: app.selectEdge,
});
