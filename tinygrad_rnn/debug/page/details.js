// What is known of one tensor or one edge: rule, numbers, arrays, and the way on to its neighbours.

// ask: {tape, cotangents(), flow(), go} -> functions that fill the panel.
const MOST_SHOWN = 64; // elements

function makeDetails(panel, app) {
  const { tape } = app;

  function line(label, ...values) {
    return [element("dt", { text: label }), element("dd", {}, ...values)];
  }

  function arrayLine(label, values, shape) {
    return [element("dt", { text: label }), element("dd", {}, element("pre", { text: arrayText(values, shape) }))];
  }

  // A rule, and below it the same with the numbers of one element.
  function ruleLines(label, rule, numbers) {
    return [...line(label, element("code", { text: rule })), ...(numbers ? line("e.g.", element("code", { text: numbers })) : [])];
  }

  function valueLines(node) {
    const [low, mean, high] = node.range;
    const kind = `${shapeText(node.shape)} ${node.dtype}`;
    if (low === null) return line("value", `${kind}, no number in it`);
    const found = line("value", node.size === 1 ? `${number(low, 6)}` : `${kind}, from ${number(low)} to ${number(high)}, mean ${number(mean)}`);
    if (node.nans) found.push(...line("not a number", `${node.nans} elements are nan`));
    if (node.values) found.push(...arrayLine("elements", node.values, node.shape));
    return found;
  }

  function gradientLines(node) {
    if (!node.tracked) return line("gradient", "none: it requires no gradient, or no loss depends on it");
    if (node.norm === null) return line("gradient", "none arrived");
    const found = [];
    const total = app.timeline.arrivals[node.at].length;
    const got = app.timeline.received(node.at, app.position());
    const so = got === total ? "" : got === 0 ? " (at this moment: –, nothing arrived yet)" : ` (at this moment ${got} of ${total} parts arrived)`;
    found.push(...line("|gradient|", `${magnitude(node.norm)}${so}`));
    const whole = app.cotangents()?.[node.at];
    if (whole && whole.length > 1 && whole.length <= MOST_SHOWN) found.push(...arrayLine("gradient", whole, node.shape));
    return found;
  }

  function button(text, onclick, kind = "link") {
    return element("button", { type: "button", class: kind, text, onclick });
  }

  function flowText(id) {
    const share = app.flow()[id];
    return Number.isNaN(share) ? "no path" : percent(share);
  }

  function nodeButton(at) {
    const node = tape.nodes[at];
    return button(`${called(node)}${node.step === null ? "" : ` (step ${node.step})`}`, () => app.selectNode(at));
  }

  function inputs(node) {
    if (!node.inputs.length) return [];
    const list = element("ul");
    node.inputs.forEach((at, slot) => {
      const edge = tape.from[node.at].find((one) => one.slot === slot);
      const item = element("li", {}, `${slot}: `, nodeButton(at), ` ${briefly(tape.nodes[at])}`);
      if (edge) item.append(" ", button(`edge, ${flowText(edge.id)}`, () => app.selectEdge(edge.id)));
      list.append(item);
    });
    return [element("h3", { text: "Computed from" }), list];
  }

  function users(node) {
    const uses = tape.into[node.at];
    if (!uses.length) return [];
    const list = element("ul");
    for (const edge of uses.slice(0, 40)) {
      list.append(element("li", {}, nodeButton(edge.consumer), " ", button(`edge, ${flowText(edge.id)}`, () => app.selectEdge(edge.id))));
    }
    if (uses.length > 40) list.append(element("li", { text: `and ${uses.length - 40} more` }));
    return [element("h3", { text: "Used by, and what flows back from there" }), list];
  }

  function place(node) {
    const scope = node.shownScope ?? node.scope;
    return [node.step === null ? "outside any step" : `step ${node.step}`, scope].filter(Boolean).join(" · ");
  }

  function showNode(at) {
    const node = tape.nodes[at];
    const facts = element("dl");
    if (node.op) facts.append(...line("operation", node.op), ...ruleLines("rule", node.rule, node.numbers));
    facts.append(...line("where", place(node)), ...valueLines(node), ...gradientLines(node));
    const actions = element("p", { class: "actions" });
    if (node.tracked && at !== app.source() && tape.into[at].length) {
      actions.append(button("Trace the gradient to this tensor", () => app.setSource(at), "small"));
    }
    if (node.op && app.timeline.madeAt[at] >= 0) actions.append(button("Go to where it is made", () => app.goto(app.timeline.madeAt[at] + 1), "small"));
    const last = app.timeline.arrivals[at].at(-1);
    if (last !== undefined) actions.append(button("Go to where its gradient is complete", () => app.goto(last + 1), "small"));
    panel.replaceChildren(element("h3", { class: "name", text: called(node) }), facts, actions, ...inputs(node), ...users(node));
  }

  function edgeFacts(edge) {
    const consumer = tape.nodes[edge.consumer];
    const producer = tape.nodes[edge.producer];
    const facts = element("dl");
    facts.append(
      ...line("from", nodeButton(edge.producer)),
      ...line("to", nodeButton(edge.consumer), `, input ${edge.slot} of ${consumer.op}`),
      ...line("forward", element("code", { text: consumer.rule })),
      ...ruleLines("backward", edge.rule, edge.numbers),
      ...line("derivative", element("code", { text: edge.derivative })),
    );
    const shown = producer.size <= MOST_SHOWN;
    const factors = edge.map?.factors;
    if (factors?.length > 1 && factors.length <= MOST_SHOWN) facts.append(...arrayLine("", factors, consumer.shape));
    const g = app.cotangents()?.[edge.consumer];
    if (g && g.length <= MOST_SHOWN) facts.append(...arrayLine("dy arrives", g, consumer.shape));
    if (g && edge.map && shown) facts.append(...arrayLine("it adds", contribution(edge, g), producer.shape));
    facts.append(
      ...line("|it adds|", edge.norm === null ? "–" : magnitude(edge.norm)),
      ...line("share", `${flowText(edge.id)}${Number.isNaN(app.flow()[edge.id]) ? " from" : " of the gradient of"} ${called(tape.nodes[app.source()])}`),
    );
    if (producer.step !== null && consumer.step !== null && producer.step !== consumer.step) {
      facts.append(...line("crossing", `from step ${producer.step} to step ${consumer.step}`));
    }
    return facts;
  }

  function contribution(edge, g) {
    const part = new Float64Array(tape.nodes[edge.producer].size);
    edge.map.pull(g, part);
    return part;
  }

  // What a tensor has received before an event; null where that is nothing, or is not known here.
  function totalBefore(at, position) {
    let total = null;
    for (const k of app.timeline.arrivals[at]) {
      if (k >= position) break;
      const [kind, id] = app.timeline.events[k];
      const edge = kind === PASSED ? tape.edges[id] : null;
      if (edge && !(app.cotangents()?.[edge.consumer] && edge.map)) return null;
      const part = edge ? contribution(edge, app.cotangents()[edge.consumer]) : [1];
      total = total ? total.map((x, j) => x + part[j]) : Float64Array.from(part);
    }
    return total;
  }

  function edgeTitle(edge) {
    return element("h3", { class: "name", text: `${called(tape.nodes[edge.producer])} → ${called(tape.nodes[edge.consumer])}` });
  }

  function showEdge(id) {
    const actions = element("p", { class: "actions" });
    const at = app.timeline.passedAt[id];
    if (at < app.timeline.events.length) actions.append(button("Go to where gradient passes here", () => app.goto(at + 1), "small"));
    panel.replaceChildren(edgeTitle(tape.edges[id]), edgeFacts(tape.edges[id]), actions);
  }

  // At the end: what there is to see, and what to do here.
  function showEnd() {
    const node = tape.nodes[app.source()];
    const facts = element("dl");
    facts.append(...line("gradient of", nodeButton(node.at)), ...line("|gradient|", node.norm === null ? "–" : magnitude(node.norm)));
    facts.append(...line(tape.losses.length === 1 ? "loss" : "losses", ...tape.losses.slice(0, 3).flatMap((at) => [nodeButton(at), " "]), tape.losses.length > 3 ? `and ${tape.losses.length - 3} more` : ""));
    const list = element("ul", { class: "todo" });
    for (const text of [
      "Click a tensor or an edge: its rule, its numbers, its share.",
      "Play, or drag the timeline: how it all came about.",
      "Type a route, or click a cell of the ledger: its paths light up.",
      "Drag and zoom the graph; press ? for all keys.",
    ]) list.append(element("li", { text }));
    panel.replaceChildren(facts, ...(app.isLit() ? [] : [list]));
  }

  // The last thing that happened.
  function showMoment(position) {
    const { events } = app.timeline;
    if (position === 0) {
      panel.replaceChildren(element("p", { text: "Nothing has happened yet. Step forward, or press Play." }));
      return;
    }
    if (position === events.length) {
      showEnd();
      return;
    }
    const [kind, id] = events[position - 1];
    if (kind === PASSED) {
      const edge = tape.edges[id];
      panel.replaceChildren(edgeTitle(edge), edgeFacts(edge), addedTo(tape.nodes[edge.producer], position));
    } else showNode(id);
    if (kind !== MADE) panel.append(...holders(position));
  }

  // What was added to what.
  function addedTo(to, position) {
    const total = app.timeline.arrivals[to.at].length;
    const got = app.timeline.received(to.at, position);
    const facts = element("dl");
    facts.append(...line("added", `part ${got} of ${total} of the gradient of ${called(to)}`));
    if (to.size > MOST_SHOWN || got < 2) return facts;
    for (const [label, when] of [["before", position - 1], ["now", position]]) {
      const sum = totalBefore(to.at, when);
      if (sum) facts.append(...arrayLine(label, sum, to.shape));
    }
    return facts;
  }

  // Who holds the gradient at this moment: none of it is lost on the way.
  function holders(position) {
    const held = app.frontier(position);
    if (!held.length) return [];
    const whole = held.reduce((sum, [, share]) => sum + share, 0);
    const list = element("ul");
    for (const [at, share] of held.slice(0, 6)) list.append(element("li", {}, `${percent(share)} `, nodeButton(at)));
    if (held.length > 6) list.append(element("li", { text: `and ${held.length - 6} more` }));
    const title = `Held now, ${percent(whole)} of the gradient of ${called(tape.nodes[app.source()])} together`;
    return [element("h3", { text: title }), list];
  }

  return { showNode, showEdge, showMoment };
}
