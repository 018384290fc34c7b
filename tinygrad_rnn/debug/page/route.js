// Routes: regular expressions over landmarks, and their automata by derivatives (Brzozowski 1964).
// The same language as tinygrad_rnn/trace/expression.py and route.py.

class RouteError extends Error {
  constructor(problem, at) {
    super(problem);
    this.at = at;
  }
}

const MOST_STATES = 512;

// Expressions have a key each; equal keys, equal expressions.
const NOTHING = { kind: "nothing", key: "0" };
const EMPTY = { kind: "empty", key: "1" };

function letter(what) {
  return { kind: "letter", what, key: `L${JSON.stringify(what)}` };
}

const ANY = letter({ name: null, but: false, scope: "", first: null, end: null, crossing: false, chunk: null });

function then(...parts) {
  let result = EMPTY;
  for (const part of parts.reverse()) {
    if (part === NOTHING || result === NOTHING) return NOTHING;
    if (part === EMPTY) continue;
    if (result === EMPTY) result = part;
    else if (part.kind === "then") result = pair(part.first, then(part.rest, result));
    else result = pair(part, result);
  }
  return result;
}

function pair(first, rest) {
  return { kind: "then", first, rest, key: `(${first.key}.${rest.key})` };
}

function either(...parts) {
  const flat = new Map();
  for (const part of parts) for (const one of part.kind === "either" ? part.parts : [part]) flat.set(one.key, one);
  flat.delete(NOTHING.key);
  const all = star(ANY);
  if (flat.has(all.key)) return all;
  if (flat.size === 0) return NOTHING;
  const ordered = [...flat.keys()].sort();
  if (flat.size === 1) return flat.get(ordered[0]);
  return { kind: "either", parts: ordered.map((key) => flat.get(key)), key: `[${ordered.join("|")}]` };
}

function star(part) {
  if (part === NOTHING || part === EMPTY) return EMPTY;
  return part.kind === "star" ? part : { kind: "star", part, key: `*${part.key}` };
}

function times(part, low, high) {
  const needed = then(...Array(low).fill(part));
  if (high === null) return then(needed, star(part));
  let optional = EMPTY;
  for (let k = low; k < high; k++) optional = either(EMPTY, then(part, optional));
  return then(needed, optional);
}

// Any crossings that go over so many steps at most, all together; one over three steps counts as three.
function within(lag) {
  return { kind: "within", lag, key: `<=${lag}` };
}

function acceptsEmpty(e) {
  if (e.kind === "empty" || e.kind === "star" || e.kind === "within") return true;
  if (e.kind === "then") return acceptsEmpty(e.first) && acceptsEmpty(e.rest);
  return e.kind === "either" && e.parts.some(acceptsEmpty);
}

function derivative(e, mark) {
  if (e.kind === "letter") return standsFor(e.what, mark) ? EMPTY : NOTHING;
  if (e.kind === "then") {
    const after = then(derivative(e.first, mark), e.rest);
    return acceptsEmpty(e.first) ? either(after, derivative(e.rest, mark)) : after;
  }
  if (e.kind === "either") return either(...e.parts.map((part) => derivative(part, mark)));
  if (e.kind === "within") {
    const left = e.lag - Math.abs(mark.toStep - mark.step);
    return left < 0 ? NOTHING : within(left);
  }
  return e.kind === "star" ? then(derivative(e.part, mark), e) : NOTHING;
}

function reversed(e) {
  if (e.kind === "then") return then(reversed(e.rest), reversed(e.first));
  if (e.kind === "either") return either(...e.parts.map(reversed));
  return e.kind === "star" ? star(reversed(e.part)) : e;
}

function standsFor(what, mark) {
  const crosses = mark.step !== null && mark.toStep !== null && mark.step !== mark.toStep;
  const isCalled = mark.name === what.name && (!what.scope || `/${mark.scope}/`.includes(`/${what.scope}/`));
  if (what.name !== null && isCalled === what.but) return false;
  if (what.crossing && !crosses) return false;
  if (what.first !== null && (mark.step === null || mark.step < what.first)) return false;
  if (what.end !== null && (mark.step === null || mark.step >= what.end)) return false;
  if (what.chunk !== null && crosses) return Math.floor(mark.step / what.chunk) === Math.floor(mark.toStep / what.chunk);
  return true;
}

// Reading text ------------------------------------------------------------------------------------------------------

const WORD = String.raw`[\p{L}\p{Nl}\p{No}_][\p{L}\p{N}_]*`;
const QUOTED = "'(?:[^']|'')+'";
const PATH = String.raw`(?:${WORD}|${QUOTED})(?:/(?:[\p{L}\p{N}_]+|${QUOTED}))*/?`;
const TOKEN = new RegExp(String.raw`\s*(?:(!?${PATH}|\.)|(\p{Nd}+)|([()|*+?{}[\],:>^])|($))`, "uy");
const PART = new RegExp(`${QUOTED}|[^/]+`, "gu");

const NO_TOKEN = {
  "!": "! is followed by one name, as in !h",
  "'": "there is no closing quote for this; a quote within a name is doubled, as in 'it''s'",
  "&": "routes are combined outside the text, as in tg.across(...) & tg.along(...)",
  "~": "a route is turned round outside the text, as in ~tg.across(...)",
};
const MISPLACED = { ")": "there is no ( for this )", ">": "> stands right after the name, before any * + ? or {}" };
const MOST_TIMES = 500; // each repetition is a state of the automaton

// Raises RouteError with the place in the text. offset: where the text begins in what the user typed.
function parseExpression(text, offset = 0) {
  let position = 0;
  const peek = () => {
    TOKEN.lastIndex = position;
    const found = TOKEN.exec(text);
    if (!found) fail(NO_TOKEN[text.slice(position).trimStart()[0]] ?? "a route has no such character");
    const [whole, name, digits, sign] = found;
    return { end: position + whole.length, name, digits, sign, text: name ?? digits ?? sign ?? "" };
  };
  const fail = (problem, at = position) => {
    while (at < text.length && /\s/u.test(text[at])) at++;
    throw new RouteError(problem, offset + at);
  };
  const take = () => {
    const found = peek();
    position = found.end;
    return found.text;
  };
  const sees = (sign) => peek().sign === sign;
  const skip = (sign) => (sees(sign) ? (take(), true) : false);

  function alternatives() {
    const parts = [sequence()];
    while (skip("|")) parts.push(sequence());
    return either(...parts);
  }
  function sequence() {
    const parts = [];
    while (peek().name || sees("(")) parts.push(repeated());
    return then(...parts);
  }
  function repeated() {
    let part = atom();
    for (;;) {
      if (skip("*")) part = star(part);
      else if (skip("+")) part = times(part, 1, null);
      else if (skip("?")) part = times(part, 0, 1);
      else if (skip("^")) {
        const count = repetitions();
        part = times(part, count, count);
      } else if (sees("{")) part = times(part, ...counts());
      else return part;
    }
  }
  function counts() {
    const start = position;
    take();
    const low = repetitions();
    let high = low;
    if (skip(",")) high = sees("}") ? null : repetitions();
    if (!skip("}")) fail("repetition is written {3}, {2,5} or {2,}");
    if (high !== null && high < low) fail(`from ${low} to ${high} times is never`, start);
    return [low, high];
  }
  function repetitions() {
    const start = position;
    const count = whole();
    if (count > MOST_TIMES) fail(`a route repeats at most ${MOST_TIMES} times, since each costs a backward sweep`, start);
    return count;
  }
  function whole() {
    if (!peek().digits) fail("a whole number is missing");
    const start = position;
    const value = Number(take());
    if (value > 10000) fail("this is more than any path is long", start);
    return value;
  }
  function atom() {
    const start = position;
    if (skip("(")) {
      const inside = alternatives();
      if (!skip(")")) fail("there is no ) for this (", start);
      return inside;
    }
    const word = take();
    const but = word.startsWith("!");
    const path = word.replace(/^!+/, "");
    if (word.endsWith("/") && text[position] === "'") fail(NO_TOKEN["'"]);
    if (word.endsWith("/")) fail("a scope is followed by the name of a landmark, as in layer0/h", start);
    const scopes = (path.match(PART) ?? []).map((part) => (part[0] === "'" ? part.slice(1, -1).replaceAll("''", "'") : part));
    const name = scopes.pop();
    const scope = scopes.join("/");
    let [first, end] = sees("[") ? range() : [null, null];
    const crossing = skip(">");
    if (sees("[") && first === null && end === null) [first, end] = range();
    return letter({ name: word === "." ? null : name, but, scope, first, end, crossing, chunk: null });
  }
  function range() {
    const start = position;
    take();
    const first = peek().digits ? whole() : null;
    let end = null;
    if (skip(":")) end = peek().digits ? whole() : null;
    else if (first === null) fail("steps are written [3], [2:7], [2:] or [:7]", start);
    else end = first + 1;
    if (!skip("]")) fail("steps are written [3], [2:7], [2:] or [:7]", start);
    return [first, end];
  }

  const result = alternatives();
  if (peek().text !== "") fail(MISPLACED[peek().sign] ?? "this does not belong here");
  return result;
}

const COMBINED = /(?:\b(?:along|across|through|avoiding)\s*\(\s*["'])|(?:\b(?:tbptt|chunks)\s*\(\s*\d)/u;

// What the user typed: an expression for `along` or `across`, or routes combined: across("c*") & ~through("o").
function parseRoute(text, kind) {
  if (!COMBINED.test(text)) return { kind, expression: parseExpression(text) };
  let position = 0;
  const space = () => {
    while (/\s/u.test(text[position] ?? "")) position++;
  };
  const skip = (sign) => {
    space();
    if (text[position] !== sign) return false;
    position++;
    return true;
  };
  const fail = (problem, at = position) => {
    throw new RouteError(problem, at);
  };
  function any() {
    let route = all();
    while (skip("|")) route = { kind: "or", parts: [route, all()] };
    return route;
  }
  function all() {
    let route = one();
    while (skip("&")) route = { kind: "and", parts: [route, one()] };
    return route;
  }
  function one() {
    if (skip("~")) return { kind: "not", parts: [one()] };
    const start = position;
    if (skip("(")) {
      const inside = any();
      if (!skip(")")) fail("there is no ) for this (", start);
      return inside;
    }
    space();
    const call = /(?:tg\.)?(along|across|through|avoiding|tbptt|chunks)\s*\(\s*(?:"([^"]*)"|'([^']*)'|(\d+))\s*\)/uy;
    call.lastIndex = position;
    const found = call.exec(text);
    if (!found) fail('here stands along("…"), across("…"), through("…"), avoiding("…"), tbptt(k), chunks(n), ~ or (');
    const [whole, name, double, single, digits] = found;
    const counts = name === "tbptt" || name === "chunks";
    if (counts !== (digits !== undefined)) fail(`${name} takes ${counts ? "a whole number" : "a text in quotes"}`);
    const inside = double ?? single ?? digits;
    const offset = position + whole.indexOf(inside, name.length);
    position += whole.length;
    return called_(name, inside, offset);
  }
  function called_(name, inside, offset) {
    if (name === "tbptt") {
      if (Number(inside) > MOST_TIMES) fail(`tbptt takes a whole number up to ${MOST_TIMES}: each step costs a backward sweep`, offset);
      return { kind: "across", expression: within(Number(inside)) };
    }
    if (name === "chunks") {
      if (Number(inside) < 1) fail("chunks takes a whole number from 1", offset);
      return { kind: "across", expression: star(letter({ ...ANY.what, chunk: Number(inside) })) };
    }
    const expression = parseExpression(inside, offset);
    if (name === "along" || name === "across") return { kind: name, expression };
    if (expression.kind !== "letter") fail('one landmark is named here, such as "h" or "layer0/h[3]"', offset);
    const met = { kind: "along", expression: then(star(ANY), expression, star(ANY)) };
    return name === "through" ? met : { kind: "not", parts: [met] };
  }
  const route = any();
  space();
  if (position < text.length) fail("this does not belong here");
  return route;
}

function lettersOf(route) {
  if (route.parts) return route.parts.flatMap(lettersOf);
  const found = [];
  const walk = (e) => {
    if (e.kind === "letter") found.push({ kind: route.kind, ...e.what });
    for (const part of e.parts ?? []) walk(part);
    for (const part of [e.first, e.rest, e.part]) if (part) walk(part);
  };
  walk(route.expression);
  return found;
}

// The automaton ------------------------------------------------------------------------------------------------------

// A state is true, false, or what the rest of a path, read from the loss back, must still be.
function leaf(kind, expression) {
  if (expression === NOTHING) return false;
  return expression.key === star(ANY).key ? true : { kind, expression, key: `${kind}:${expression.key}` };
}

function combined(kind, parts) {
  if (kind === "not") {
    return typeof parts[0] === "boolean" ? !parts[0] : { kind, parts, key: `~${parts[0].key}` };
  }
  const absorbing = kind === "or";
  if (parts.includes(absorbing)) return absorbing;
  const left = [...new Map(parts.filter((part) => typeof part !== "boolean").map((part) => [part.key, part])).values()];
  if (!left.length) return !absorbing;
  return left.length === 1 ? left[0] : { kind, parts: left, key: `${kind}(${left.map((part) => part.key).join(";")})` };
}

function startOf(route) {
  return route.parts ? combined(route.kind, route.parts.map(startOf)) : leaf(route.kind, reversed(route.expression));
}

function advance(state, landmark, crossing) {
  if (typeof state === "boolean") return state;
  if (state.parts) return combined(state.kind, state.parts.map((part) => advance(part, landmark, crossing)));
  const mark = state.kind === "along" ? landmark : crossing;
  return mark === null ? state : leaf(state.kind, derivative(state.expression, mark));
}

function accepted(state) {
  if (typeof state === "boolean") return state;
  if (!state.parts) return acceptsEmpty(state.expression);
  const found = state.parts.map(accepted);
  return state.kind === "not" ? !found[0] : state.kind === "and" ? found.every(Boolean) : found.some(Boolean);
}

// What an edge reads as for `along`, and for `across`. The source is no landmark of its own paths.
function marksOf(paths, edge) {
  const producer = paths.tape.nodes[edge.producer];
  const toStep = paths.tape.nodes[edge.consumer].step;
  const isLandmark = producer.name !== undefined && edge.producer !== paths.source;
  const isCrossing = producer.step !== null && toStep !== null && producer.step !== toStep;
  const mark = { name: producer.name ?? "_", scope: producer.scope, step: producer.step, toStep };
  return { landmark: isLandmark ? mark : null, crossing: isCrossing ? mark : null };
}

// -> {move, accepts, count}; states are numbered as they are met. Raises RouteError for names that no path meets.
function automatonOf(route, paths) {
  checkNames(route, paths);
  const states = [startOf(route)];
  const numbers = new Map([[String(states[0].key ?? states[0]), 0]]);
  const readings = new Map(); // edge -> what it reads as
  const known = new Map();
  const move = (q, edge) => {
    let reading = readings.get(edge.id);
    if (!reading) {
      const { landmark, crossing } = marksOf(paths, edge);
      reading = { landmark, crossing, key: landmark || crossing ? JSON.stringify([landmark, crossing]) : null };
      readings.set(edge.id, reading);
    }
    if (states[q] === false) return -1;
    if (reading.key === null) return q;
    const event = `${q} ${reading.key}`;
    let next = known.get(event);
    if (next === undefined) {
      const state = advance(states[q], reading.landmark, reading.crossing);
      const key = String(state.key ?? state);
      next = state === false ? -1 : (numbers.get(key) ?? states.length);
      if (next === states.length) {
        if (states.length >= MOST_STATES) {
          throw new RouteError(`this needs more than ${MOST_STATES} states: count from the other end, or name the step, as in h[3]`, 0);
        }
        numbers.set(key, next);
        states.push(state);
      }
      known.set(event, next);
    }
    return next;
  };
  return { move, accepts: (q) => accepted(states[q]), count: () => states.length };
}

function landmarksOf(paths) {
  const met = { along: new Set(), across: new Set() };
  for (const edge of paths.edges) {
    const { landmark, crossing } = marksOf(paths, edge);
    if (landmark) met.along.add(landmark.name);
    if (crossing) met.across.add(crossing.name);
  }
  return met;
}

// A letter that stands for nothing there is, is more likely a slip than a question.
function checkNames(route, paths) {
  const nodes = paths.tape.nodes.filter((node) => paths.inside[node.at]);
  if (crosses(route) && nodes.every((node) => node.step === null)) {
    throw new RouteError("no operation is at a time step, so nothing crosses time", null);
  }
  const met = landmarksOf(paths);
  for (const letter of lettersOf(route)) {
    const { kind, name } = letter;
    const known = kind === "along" ? met.along : new Set([...met.along, ...met.across]);
    if (name !== null && !known.has(name)) {
      throw new RouteError(`no landmark called «${name}» lies on a path. There are: ${[...known].sort().join(", ") || "none"}`, null);
    }
    checkWhere(nodes.filter((node) => name === null || (node.name ?? "_") === name), letter);
  }
}

function crosses(route) {
  return route.parts ? route.parts.some(crosses) : route.kind === "across";
}

// nodes: those of the letter's name. A scope that is nowhere, or a step that never is, stands for nothing.
function checkWhere(nodes, { name, scope, first, end }) {
  const what = name === null ? "landmark" : `«${name}»`;
  const scopes = new Set(nodes.map((node) => node.scope));
  if (scope && ![...scopes].some((one) => `/${one}/`.includes(`/${scope}/`))) {
    scopes.delete("");
    throw new RouteError(`no ${what} is in a scope «${scope}». There are: ${[...scopes].sort().join(", ") || "none"}`, null);
  }
  const steps = nodes.map((node) => node.step).filter((step) => step !== null);
  if (!steps.length || (first === null && end === null)) return;
  if (steps.some((step) => step >= (first ?? 0) && (end === null || step < end))) return;
  throw new RouteError(`${what} is at steps ${Math.min(...steps)} to ${Math.max(...steps)}, none of which is asked for`, null);
}
