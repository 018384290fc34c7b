// Questions about paths: one backward sweep with a row for each state of an automaton, and one forward for the flow.
//
// An automaton is {move(state, edge) -> state, or -1 to drop the path}; it starts in state 0 at the losses and reads
// edges from there back. Row q at a node is the sum over exactly those suffixes of paths that lead to q.

const EVERY_PATH = { move: (state) => state };

// All that lies between a source and some losses. missing: an edge whose map was too big for this page, or null.
function pathsBetween(tape, source, losses) {
  const reached = new Uint8Array(tape.nodes.length);
  reached[source] = 1;
  for (let c = source + 1; c < tape.nodes.length; c++) {
    if (tape.from[c].some((edge) => reached[edge.producer])) reached[c] = 1;
  }
  const inside = new Uint8Array(tape.nodes.length);
  for (const loss of losses) inside[loss] = reached[loss];
  const edges = [];
  for (let c = tape.nodes.length - 1; c > source; c--) {
    if (!inside[c]) continue;
    for (const edge of tape.from[c]) {
      if (!reached[edge.producer]) continue;
      inside[edge.producer] = 1;
      edges.push(edge);
    }
  }
  return { tape, source, losses, inside, edges, missing: edges.find((edge) => edge.map === null) ?? null };
}

// Everything that requires a gradient, whatever the source.
function allPaths(tape) {
  const edges = [...tape.edges].reverse().sort((a, b) => b.consumer - a.consumer || a.slot - b.slot);
  return { tape, source: null, losses: tape.losses, edges, missing: edges.find((edge) => edge.map === null) ?? null };
}

// -> for every node a Map from state to row, in the order in which states arrive.
function sweepBack(paths, automaton) {
  const { tape } = paths;
  const rows = new Array(tape.nodes.length);
  const row = (at, state) => {
    rows[at] ??= new Map();
    let found = rows[at].get(state);
    if (!found) rows[at].set(state, (found = new Float64Array(tape.nodes[at].size)));
    return found;
  };
  for (const loss of paths.losses) if (!paths.inside || paths.inside[loss]) row(loss, 0)[0] += 1;
  for (const edge of paths.edges) {
    if (!rows[edge.consumer]) continue;
    for (const [state, g] of rows[edge.consumer]) {
      const next = automaton.move(state, edge);
      if (next >= 0) edge.map.pull(g, row(edge.producer, next));
    }
  }
  return rows;
}

// The flow on every edge: the share of all paths through it that the automaton accepts. NaN where there is no such path.
function flowOf(paths, automaton, rows, accepts, whole) {
  const { tape, source } = paths;
  const flow = new Float64Array(tape.edges.length).fill(NaN);
  const { unit, scale } = direction(whole);
  if (unit === null || !rows[source]) return flow;
  const tangents = new Array(tape.nodes.length);
  tangents[source] = new Map();
  for (const state of rows[source].keys()) if (accepts(state)) tangents[source].set(state, unit);
  for (let k = paths.edges.length - 1; k >= 0; k--) {
    const edge = paths.edges[k];
    if (!tangents[edge.producer] || !rows[edge.consumer]) continue;
    for (const [state, g] of rows[edge.consumer]) {
      const next = automaton.move(state, edge);
      const dx = next < 0 ? undefined : tangents[edge.producer].get(next);
      if (!dx) continue;
      const dy = new Float64Array(g.length);
      edge.map.push(dx, dy);
      flow[edge.id] = (Number.isNaN(flow[edge.id]) ? 0 : flow[edge.id]) + dot(g, dy) / scale;
      tangents[edge.consumer] ??= new Map();
      const sum = tangents[edge.consumer].get(state);
      if (sum) for (let j = 0; j < dy.length; j++) sum[j] += dy[j];
      else tangents[edge.consumer].set(state, dy);
    }
  }
  return flow;
}

// The gradient through the paths that are accepted. connected: whether there is any such path.
function gradientOf(paths, rows, accepts) {
  const gradient = new Float64Array(paths.tape.nodes[paths.source].size);
  let connected = false;
  for (const [state, part] of rows[paths.source] ?? []) {
    if (!accepts(state)) continue;
    connected = true;
    for (let k = 0; k < part.length; k++) gradient[k] += part[k];
  }
  return { gradient, connected };
}

// One question, answered: what flows along the accepted paths, as a share of `whole`.
function ask(paths, automaton, accepts, whole) {
  const rows = sweepBack(paths, automaton);
  const { gradient, connected } = gradientOf(paths, rows, accepts);
  whole ??= gradient;
  return {
    gradient,
    connected,
    share: shareOf(gradient, whole),
    norm: normOf(gradient),
    flow: flowOf(paths, automaton, rows, accepts, whole),
  };
}

function dot(a, b) {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}

function largestOf(v) {
  let largest = 0;
  for (let k = 0; k < v.length; k++) largest = Math.max(largest, Math.abs(v[k]));
  return largest;
}

// Scaled by the largest element before squaring: a norm of 1e-200 is not 0.
function normOf(v) {
  const largest = largestOf(v);
  if (largest === 0 || !Number.isFinite(largest)) return largest;
  let sum = 0;
  for (let k = 0; k < v.length; k++) sum += (v[k] / largest) ** 2;
  return largest * Math.sqrt(sum);
}

// A step du of the source with <contribution, du> / scale = share of the contribution. unit: null where the gradient is 0.
function direction(whole) {
  const largest = largestOf(whole);
  if (largest === 0 || !Number.isFinite(largest)) return { unit: null, scale: NaN };
  const unit = whole.map((x) => x / largest);
  const square = dot(unit, unit);
  return { unit: unit.map((x) => x / square), scale: largest };
}

function shareOf(part, whole) {
  return shareAlong(part, direction(whole));
}

function shareAlong(part, { unit, scale }) {
  if (unit === null) return NaN;
  let sum = 0;
  for (let k = 0; k < part.length; k++) sum += (part[k] / scale) * unit[k];
  return sum;
}

// The ledger -------------------------------------------------------------------------------------------------------

// The automaton that keeps the uses of a source apart: state 0 before, state 1 + k once a path entered by column k.
function usesOf(paths) {
  const { tape, source } = paths;
  const outside = new Uint8Array(tape.nodes.length); // the source, and what is made of it outside any step
  outside[source] = 1;
  for (let c = source + 1; c < tape.nodes.length; c++) {
    if (tape.nodes[c].step === null && tape.from[c].some((edge) => outside[edge.producer])) outside[c] = 1;
  }
  const isUse = (edge) => outside[edge.producer] && !outside[edge.consumer];
  const used = new Set(paths.edges.filter(isUse).map((edge) => tape.nodes[edge.consumer].step));
  const steps = [...used].sort((a, b) => a - b);
  if (paths.losses.some((loss) => outside[loss])) steps.push(null);
  const column = new Map(steps.map((step, k) => [step, k]));
  const move = (state, edge) => (state === 0 && isUse(edge) ? 1 + column.get(tape.nodes[edge.consumer].step) : state);
  const columnOf = (state) => (state === 0 ? steps.indexOf(null) : state - 1);
  const accepts = (k) => (state) => columnOf(state) === k;
  return { steps, move, accepts, isUse, column: columnOf };
}

// The step of each node; of one outside any step, the last of those that lead to it from the source.
function lastSteps(paths) {
  const last = new Map();
  for (let k = paths.edges.length - 1; k >= 0; k--) {
    const { consumer, producer } = paths.edges[k];
    const { nodes } = paths.tape;
    if (nodes[producer].step !== null) last.set(producer, nodes[producer].step);
    const step = nodes[consumer].step ?? Math.max(last.get(consumer) ?? -Infinity, last.get(producer) ?? -Infinity);
    if (Number.isFinite(step)) last.set(consumer, step);
  }
  return last;
}
