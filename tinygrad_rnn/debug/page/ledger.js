// The ledger as a heat map: rows are losses, columns the steps at which the source is used.

function makeLedger(canvas, say, choose) {
  let table = null; // {rows, columns, lossSteps, shares, norms, connected, done}
  let running = 0;
  let at = null; // the cell under the keyboard, [row, column]
  let chosen = null;
  let colours = "share";

  // A row for each loss, a few at a time, so that the page stays quick.
  function compute(tape, source, whole, finished) {
    const mine = ++running;
    const every = pathsBetween(tape, source, tape.losses);
    const uses = usesOf(every);
    const last = lastSteps(every);
    const rows = tape.losses.length;
    const along = direction(whole);
    const columns = uses.steps.length;
    table = {
      rows, columns, steps: uses.steps, uses,
      lossSteps: tape.losses.map((loss) => last.get(loss) ?? tape.nodes[loss].step),
      shares: new Float64Array(rows * columns).fill(along.unit === null ? NaN : 0),
      norms: new Float64Array(rows * columns),
      connected: new Uint8Array(rows * columns),
      done: 0,
    };
    at = chosen = null;
    say("");
    let shown = -Infinity;
    const some = () => {
      if (mine !== running) return;
      const until = performance.now() + 8;
      while (table.done < rows && performance.now() < until) {
        const row = table.done;
        const paths = pathsBetween(tape, source, [tape.losses[row]]);
        const swept = sweepBack(paths, uses);
        for (const [state, gradient] of swept[source] ?? []) {
          const cell = row * columns + uses.column(state);
          table.connected[cell] = 1;
          table.norms[cell] = normOf(gradient);
          table.shares[cell] = shareAlong(gradient, along);
        }
        table.done++;
      }
      if (table.done === rows || performance.now() - shown > 150) {
        draw();
        shown = performance.now();
      }
      if (table.done < rows) setTimeout(some, 0);
      else finished(table);
    };
    some();
  }

  // -> a function from a cell to its colour and how strong it is.
  function shades() {
    const style = getComputedStyle(document.documentElement);
    const [empty, positive, negative, norm] = ["--empty", "--positive", "--negative", "--norm"].map((name) => style.getPropertyValue(name).trim());
    if (colours === "share") {
      const top = largest((k) => Math.abs(table.shares[k]));
      return (k) => {
        if (!table.connected[k]) return [empty, 1];
        const size = Math.min(1, Math.abs(table.shares[k]) / top) || 0;
        return [table.shares[k] < 0 ? negative : positive, 0.06 + 0.94 * Math.sqrt(size)];
      };
    }
    const top = Math.log10(largest((k) => table.norms[k]));
    return (k) => {
      if (!table.connected[k]) return [empty, 1];
      const size = table.norms[k] > 0 ? Math.max(0, 1 - (top - Math.log10(table.norms[k])) / 8) : 0;
      return [norm, 0.06 + 0.94 * size];
    };
  }

  function largest(of) {
    let found = 0;
    for (let k = 0; k < table.done * table.columns; k++) if (of(k) > found) found = of(k);
    return found || 1;
  }

  function cellSize() {
    const wide = canvas.clientWidth - 34;
    return [wide / table.columns, Math.max(2, Math.min(30, table.rows === 1 ? 30 : Math.min(wide, 240) / table.rows))];
  }

  function draw() {
    if (!table || !canvas.clientWidth) return;
    const [w, h] = cellSize();
    const ratio = window.devicePixelRatio || 1;
    const high = h * table.rows + 30;
    canvas.style.height = `${high}px`;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(high * ratio);
    const g = canvas.getContext("2d");
    g.scale(ratio, ratio);
    g.font = "11px system-ui, sans-serif";
    const ink = getComputedStyle(canvas).color;
    const onColour = getComputedStyle(document.documentElement).getPropertyValue("--on-colour");
    const shade = shades();
    for (let row = 0; row < table.done; row++) {
      for (let k = 0; k < table.columns; k++) {
        const cell = row * table.columns + k;
        const [colour, strength] = shade(cell);
        g.globalAlpha = strength;
        g.fillStyle = colour;
        g.fillRect(34 + k * w, row * h, Math.max(0.5, w - (w > 6 ? 1 : 0)), Math.max(0.5, h - (h > 6 ? 1 : 0)));
        g.globalAlpha = 1;
        if (w > 46 && h > 14 && table.connected[cell]) {
          g.fillStyle = strength > 0.55 ? onColour : ink;
          g.textAlign = "center";
          g.fillText(colours === "share" ? percent(table.shares[cell]) : magnitude(table.norms[cell]), 34 + (k + 0.5) * w, row * h + h / 2 + 4);
        }
      }
    }
    g.fillStyle = ink;
    axis(g, table.steps, (k) => 34 + (k + 0.5) * w, w, (text, x) => {
      centred(g, text, x, table.rows * h + 12, canvas.clientWidth);
    });
    g.textAlign = "center";
    g.fillText("used at step", 34 + (table.columns * w) / 2, table.rows * h + 26);
    axis(g, table.lossSteps, (k) => (k + 0.5) * h + 4, h, (text, y) => {
      g.textAlign = "right";
      g.fillText(text, 30, Math.max(9, y));
    });
    for (const [cell, dash] of [[chosen, []], [document.activeElement === canvas ? at : null, [3, 2]]]) {
      if (!cell) continue;
      g.setLineDash(dash);
      g.lineWidth = 2;
      g.strokeStyle = ink;
      g.strokeRect(33 + cell[1] * w, cell[0] * h - 1, Math.max(w, 4) + 1, Math.max(h, 4) + 1);
    }
  }

  // Every so many labels, as there is room.
  function axis(g, steps, place, room, write) {
    const every = Math.max(1, Math.ceil(26 / room));
    steps.forEach((step, k) => {
      if (k % every === 0) write(step === null ? "–" : String(step), place(k));
    });
  }

  function sentence([row, k]) {
    const cell = row * table.columns + k;
    const loss = table.lossSteps[row] === null ? "the loss" : `the loss at step ${table.lossSteps[row]}`;
    const use = table.steps[k] === null ? "outside any step" : `at step ${table.steps[k]}`;
    if (!table.connected[cell]) return `From ${loss} to the use ${use} there is no path.`;
    return `From ${loss} to the use ${use}: share ${percent(table.shares[cell])}, norm ${magnitude(table.norms[cell])}.`;
  }

  function cellAt(event) {
    if (!table) return null;
    const box = canvas.getBoundingClientRect();
    const [w, h] = cellSize();
    const cell = [Math.floor((event.clientY - box.top) / h), Math.floor((event.clientX - box.left - 34) / w)];
    return cell[0] >= 0 && cell[0] < table.done && cell[1] >= 0 && cell[1] < table.columns ? cell : null;
  }

  function take(cell) {
    at = chosen = cell;
    say(sentence(cell));
    choose(cell, table);
    draw();
  }

  canvas.addEventListener("click", (event) => {
    const cell = cellAt(event);
    if (cell) take(cell);
  });
  canvas.addEventListener("pointermove", (event) => {
    const cell = cellAt(event);
    if (cell) say(sentence(cell));
  });
  canvas.addEventListener("pointerleave", () => {
    const cell = document.activeElement === canvas ? at : chosen;
    say(cell ? sentence(cell) : "");
  });
  canvas.addEventListener("keydown", (event) => {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!table?.done || (!by && event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    event.stopPropagation();
    at ??= [table.done - 1, table.columns - 1];
    if (by) {
      at = [Math.min(table.done - 1, Math.max(0, at[0] + by[0])), Math.min(table.columns - 1, Math.max(0, at[1] + by[1]))];
      say(sentence(at));
      draw();
    } else take(at);
  });
  for (const kind of ["focus", "blur"]) canvas.addEventListener(kind, () => draw());
  new ResizeObserver(() => draw()).observe(canvas);

  return {
    compute, draw, take,
    table: () => table,
    colour: (by) => {
      colours = by;
      draw();
    },
    clear: () => {
      chosen = null;
      say("");
      draw();
    },
  };
}
