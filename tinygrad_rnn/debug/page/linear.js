// The backward pass as linear maps: what each edge does to a gradient, and, transposed, to a change of its input.
// The kinds of maps are those of tinygrad_rnn/debug/linear.py.

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  return bytes.buffer;
}

// -> {nodes, edges, from, into}: from[c] lists the edges that lead from consumer c to its inputs, into[p] the uses of p.
function readTape(data) {
  const whole = { f: new Float64Array(bytesOf(data.f)), i: new Int32Array(bytesOf(data.i)) };
  const arrays = data.arrays.map(([kind, first, count]) => whole[kind].subarray(first, first + count));
  const nodes = data.nodes.map((node, at) => ({
    ...node,
    at,
    size: node.shape.reduce((a, b) => a * b, 1),
    rule: node.rule === undefined ? null : data.texts[node.rule],
  }));
  const from = nodes.map(() => []);
  const into = nodes.map(() => []);
  const edges = data.edges.map(([consumer, slot, producer, map, rule, derivative, numbers], id) => {
    const told = { rule: data.texts[rule], derivative: data.texts[derivative], numbers };
    const edge = { id, consumer, slot, producer, map: map && readMap(map, arrays), norm: data.norms[id], ...told };
    from[consumer].push(edge);
    into[producer].push(edge);
    return edge;
  });
  return { nodes, edges, from, into, losses: data.losses };
}

// A map as {pull(g, part), push(dx, dy)}, both of which add: part += g J, dy += J dx.
function readMap([kind, ...rest], arrays) {
  const array = (k) => (k === null ? null : arrays[k]);
  if (kind === "sparse") return sparseMap(array(rest[0]), array(rest[1]), array(rest[2]));
  if (kind === "times") return timesMap(array(rest[0]), ...rest.slice(1));
  if (kind === "outer") return outerMap(array(rest[0]), ...rest.slice(1));
  if (kind === "rows") return rowsMap(array(rest[0]), array(rest[1]), array(rest[2]), rest[3]);
  return denseMap(array(rest[0]));
}

function sparseMap(o, i, d) {
  const factor = d === null ? () => 1 : d.length === 1 ? () => d[0] : (k) => d[k];
  const count = (size) => (o ? o.length : i ? i.length : size);
  return {
    factors: o || i ? null : d, // of an elementwise operation: its local derivative, element by element
    pull(g, part) {
      const n = count(g.length);
      for (let k = 0; k < n; k++) part[i ? i[k] : k] += g[o ? o[k] : k] * factor(k);
    },
    push(dx, dy) {
      const n = count(dy.length);
      for (let k = 0; k < n; k++) dy[o ? o[k] : k] += dx[i ? i[k] : k] * factor(k);
    },
  };
}

function timesMap(m, r, n, k, turned) {
  const down = turned ? 1 : k; // from M[b, c] to M[b + 1, c]
  const across = turned ? n : 1;
  return {
    pull(g, part) {
      for (let a = 0; a < r; a++)
        for (let b = 0; b < n; b++) {
          const weight = g[a * n + b];
          if (weight === 0) continue;
          for (let c = 0, at = b * down; c < k; c++, at += across) part[a * k + c] += weight * m[at];
        }
    },
    push(dx, dy) {
      for (let a = 0; a < r; a++)
        for (let b = 0; b < n; b++) {
          let sum = 0;
          for (let c = 0, at = b * down; c < k; c++, at += across) sum += dx[a * k + c] * m[at];
          dy[a * n + b] += sum;
        }
    },
  };
}

function outerMap(x, r, n, k, turned) {
  const down = turned ? 1 : k; // from W[b, c] to W[b + 1, c]
  const across = turned ? n : 1;
  return {
    pull(g, part) {
      for (let a = 0; a < r; a++)
        for (let b = 0; b < n; b++) {
          const weight = g[a * n + b];
          if (weight === 0) continue;
          for (let c = 0, at = b * down; c < k; c++, at += across) part[at] += weight * x[a * k + c];
        }
    },
    push(dw, dy) {
      for (let a = 0; a < r; a++)
        for (let b = 0; b < n; b++) {
          let sum = 0;
          for (let c = 0, at = b * down; c < k; c++, at += across) sum += dw[at] * x[a * k + c];
          dy[a * n + b] += sum;
        }
    },
  };
}

function rowsMap(d, u, v, m) {
  const one = (array, k) => (array === null ? 1 : array[k]);
  const along = (x, out, inner, outer) => {
    for (let start = 0; start < x.length; start += m) {
      let sum = 0;
      for (let k = start; k < start + m; k++) sum += one(inner, k) * x[k];
      for (let k = start; k < start + m; k++) out[k] += one(d, k) * x[k] + one(outer, k) * sum;
    }
  };
  return { pull: (g, part) => along(g, part, v, u), push: (dx, dy) => along(dx, dy, u, v) };
}

function denseMap(j) {
  return {
    pull(g, part) {
      for (let a = 0, at = 0; a < g.length; a++) for (let b = 0; b < part.length; b++, at++) part[b] += g[a] * j[at];
    },
    push(dx, dy) {
      for (let a = 0, at = 0; a < dy.length; a++) for (let b = 0; b < dx.length; b++, at++) dy[a] += j[at] * dx[b];
    },
  };
}
