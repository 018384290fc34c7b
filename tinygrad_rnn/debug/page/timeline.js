// What happened before a position of the timeline, and what happens there.

const MADE = 0;
const SEED = 1;
const PASSED = 2;

// events: [kind, node or edge]. A position is how many events have happened.
function makeTimeline(tape, events) {
  const madeAt = new Int32Array(tape.nodes.length).fill(-1); // leaves are there from the start
  const passedAt = new Int32Array(tape.edges.length).fill(events.length);
  const arrivals = tape.nodes.map(() => []); // when something is added to what a node has received
  let forward = 0;
  events.forEach(([kind, id], k) => {
    if (kind === MADE) {
      madeAt[id] = k;
      forward = k + 1;
    } else if (kind === SEED) arrivals[id].push(k);
    else {
      passedAt[id] = k;
      arrivals[tape.edges[id].producer].push(k);
    }
  });

  const received = (at, position) => arrivals[at].filter((k) => k < position).length;
  const nodeOf = ([kind, id]) => (kind === PASSED ? tape.edges[id].producer : id);
  const stepOf = (k) => {
    const [kind, id] = events[k];
    return tape.nodes[kind === PASSED ? tape.edges[id].consumer : id].step;
  };

  // The position after the last event of the time step that is going on, or before its first one.
  function nextStep(position, by) {
    if (by > 0) {
      if (position >= events.length) return position;
      const here = [stepOf(position), position < forward];
      let k = position + 1;
      while (k < events.length && stepOf(k) === here[0] && k < forward === here[1]) k++;
      return k;
    }
    if (position <= 0) return 0;
    let k = position - 1;
    const here = [stepOf(k), k < forward];
    while (k > 0 && stepOf(k - 1) === here[0] && k - 1 < forward === here[1]) k--;
    return k;
  }

  // Who holds the gradient before an event: what has received something and has not passed on all of it.
  // flow: the share on every edge, all of it towards the source. -> [tensor, share], the largest first; together they
  // are `total`. The source keeps what has come, also where it passes gradient on to what it was computed from.
  const firstIn = arrivals.map((all) => all[0] ?? Infinity);
  const passes = tape.from.map((edges) => edges.map((edge) => passedAt[edge.id]));
  const firstOut = passes.map((all) => Math.min(...all)); // Infinity for a leaf
  const lastOut = passes.map((all) => (all.length ? Math.max(...all) : Infinity));
  const sumOf = (edges, flow, test) => {
    let sum = NaN;
    for (const { id } of edges) if (!Number.isNaN(flow[id]) && test(id)) sum = (Number.isNaN(sum) ? 0 : sum) + flow[id];
    return sum;
  };
  const seeded = new Set(events.filter(([kind]) => kind === SEED).map(([, id]) => id));

  function frontier(position, source, { flow, share: total }) {
    const held = [];
    for (let at = 0; at < tape.nodes.length; at++) {
      if (firstIn[at] >= position || (lastOut[at] < position && at !== source)) continue;
      const isToCome = (id) => passedAt[id] >= position;
      let share = sumOf(tape.into[at], flow, (id) => !isToCome(id));
      // What came from outside is on no edge: the whole, less what is still to come in.
      const fromOutside = (whole) => whole - (sumOf(tape.into[at], flow, isToCome) || 0);
      if (at === source) share = seeded.has(at) ? fromOutside(total) : share;
      else if (firstOut[at] < position) share = sumOf(tape.from[at], flow, isToCome); // it is passing on what it has
      else if (seeded.has(at)) share = fromOutside(sumOf(tape.from[at], flow, isToCome));
      if (!Number.isNaN(share)) held.push([at, share]);
    }
    return held.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  }

  function sentence(position) {
    if (position === 0) return "Before the first operation: only leaves and constants are there.";
    const [kind, id] = events[position - 1];
    const phase = kind === MADE ? "Forward" : "Backward";
    const counted = `${phase}, event ${position.toLocaleString("en")} of ${events.length.toLocaleString("en")}`;
    if (kind === MADE) return `${counted}: ${whereOf(tape.nodes[id])}${called(tape.nodes[id])} is made.`;
    if (kind === SEED) return `${counted}: ${called(tape.nodes[id])} gets the gradient 1, where the backward pass starts.`;
    const edge = tape.edges[id];
    const to = tape.nodes[edge.producer];
    return `${counted}: ${called(tape.nodes[edge.consumer])} passes gradient on to ${whereOf(to)}${called(to)}.`;
  }

  return { events, forward, madeAt, passedAt, arrivals, received, nodeOf, nextStep, frontier, sentence };
}

function whereOf(node) {
  const scope = node.shownScope ?? node.scope;
  const parts = [node.step === null ? null : `step ${node.step}`, scope || null].filter((part) => part !== null);
  return parts.length ? `${parts.join(", ")}: ` : "";
}
