// What is known of one tensor or one edge: rule, numbers, arrays, and the way on to its neighbours.

// ask: {tape, cotangents(), flow(), go} -> functions that fill the panel.
function makeDetails(panel, app) {
  const { tape } = app;

  function line(label, ...values) {
    return [element("dt", { text: label }), element("dd", {}, ...values)];
  }

  function valueLines(node) {
    const [low, mean, high] = node.range;
    const kind = `${shapeText(node.shape)} ${node.dtype}`;
    if (low === null) return line("value", `${kind}, no number in it`);
    const found = line("value", node.size === 1 ? `${number(low, 6)}` : `${kind}, from ${number(low)} to ${number(high)}, mean ${number(mean)}`);
    if (node.nans) found.push(...line("not a number", `${node.nans} elements are nan`));
    if (node.values) found.push(element("dt", { text: "elements" }), element("dd", {}, element("pre", { text: arrayText(node.values, node.shape) })));
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
    if (whole && whole.length > 1 && whole.length <= 64) {
      found.push(element("dt", { text: "gradient" }), element("dd", {}, element("pre", { text: arrayText(whole, node.shape) })));
    }
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
      const item = element("li", {}, `${slot}: `, nodeButton(at));
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
    if (node.op) facts.append(...line("operation", node.op + (node.how ? ` (${node.how})` : "")), ...line("rule", FORMULAS[node.op]?.[0] ?? ""));
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
      ...line("forward", FORMULAS[consumer.op]?.[0] ?? consumer.op),
      ...line("backward", ruleText(consumer.op, edge.slot)),
      ...line("|contribution|", edge.norm === null ? "–" : magnitude(edge.norm)),
      ...line("share", `${flowText(edge.id)}${Number.isNaN(app.flow()[edge.id]) ? " from" : " of the gradient of"} ${called(tape.nodes[app.source()])}`),
    );
    const g = app.cotangents()?.[edge.consumer];
    if (g && edge.map && producer.size <= 64) {
      const part = new Float64Array(producer.size);
      edge.map.pull(g, part);
      if (g.length <= 64) facts.append(element("dt", { text: "g arrives" }), element("dd", {}, element("pre", { text: arrayText(g, consumer.shape) })));
      facts.append(element("dt", { text: "it adds" }), element("dd", {}, element("pre", { text: arrayText(part, producer.shape) })));
    }
    if (producer.step !== null && consumer.step !== null && producer.step !== consumer.step) {
      facts.append(...line("crossing", `from step ${producer.step} to step ${consumer.step}`));
    }
    return facts;
  }

  function showEdge(id) {
    const edge = tape.edges[id];
    const title = `${called(tape.nodes[edge.producer])} → ${called(tape.nodes[edge.consumer])}`;
    const actions = element("p", { class: "actions" });
    const at = app.timeline.passedAt[id];
    if (at < app.timeline.events.length) actions.append(button("Go to where gradient passes here", () => app.goto(at + 1), "small"));
    panel.replaceChildren(element("h3", { class: "name", text: title }), edgeFacts(edge), actions);
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
      showEdge(id);
      const to = tape.nodes[tape.edges[id].producer];
      const total = app.timeline.arrivals[to.at].length;
      const got = app.timeline.received(to.at, position);
      panel.append(element("p", { text: `Added to the gradient of ${called(to)}: part ${got} of ${total}.` }));
    } else showNode(id);
  }

  return { showNode, showEdge, showMoment };
}
