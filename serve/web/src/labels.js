// labels.js - labels painted on a volume: pure functions over arrays, x fastest. The server applies them (infer/edit.h).

export const LABEL = { none: 0, add: 1, remove: 2, allow: 3, exclude: 4 }

// Steps that can be undone: what changed, not whole volumes.
export class History {
  constructor() {
    this.done = []
    this.undone = []
  }

  // The step from `before` to `now`; false where nothing changed.
  record(before, now) {
    const at = []
    for (let i = 0; i < now.length; i++) if (before[i] !== now[i]) at.push(i)
    if (!at.length) return false
    const index = Uint32Array.from(at)
    this.done.push({ index, before: index.length ? Uint8Array.from(at, (i) => before[i]) : [], after: Uint8Array.from(at, (i) => now[i]) })
    this.undone = []
    return true
  }

  undo(labels) {
    const step = this.done.pop()
    if (!step) return false
    step.index.forEach((i, k) => (labels[i] = step.before[k]))
    this.undone.push(step)
    return true
  }

  redo(labels) {
    const step = this.undone.pop()
    if (!step) return false
    step.index.forEach((i, k) => (labels[i] = step.after[k]))
    this.done.push(step)
    return true
  }
}

// What a stroke painted on one slice (it differs from `before`) goes `depth` slices to either side of it as well. axis: across the slice.
export function deepen(labels, before, dim, axis, depth) {
  const step = [1, dim[0], dim[0] * dim[1]][axis]
  const painted = []
  for (let i = 0; i < labels.length; i++) if (labels[i] !== before[i]) painted.push(i)
  for (const i of painted) {
    const at = Math.floor(i / step) % dim[axis]
    for (let k = -depth; k <= depth; k++) if (at + k >= 0 && at + k < dim[axis]) labels[i + k * step] = labels[i]
  }
}

// The 6-connected piece of a mask that holds the voxel `seed`, as a list of indices; empty where the mask has nothing there.
export function piece(mask, dim, seed) {
  if (!mask[seed]) return []
  const steps = [1, dim[0], dim[0] * dim[1]]
  const seen = new Uint8Array(mask.length)
  const found = [seed]
  seen[seed] = 1
  for (let head = 0; head < found.length; head++) {
    const i = found[head]
    for (let axis = 0; axis < 3; axis++) {
      const at = Math.floor(i / steps[axis]) % dim[axis]
      for (const [next, inside] of [[i - steps[axis], at > 0], [i + steps[axis], at + 1 < dim[axis]]]) {
        if (!inside || seen[next] || !mask[next]) continue
        seen[next] = 1
        found.push(next)
      }
    }
  }
  return found
}

// The voxel of a mask nearest to `seed` within `reach` voxels along each axis, or -1: a click beside a thin piece means the piece.
export function nearest(mask, dim, [x, y, z], reach) {
  let best = -1
  let least = Infinity
  for (let k = Math.max(0, z - reach); k <= Math.min(dim[2] - 1, z + reach); k++) {
    for (let j = Math.max(0, y - reach); j <= Math.min(dim[1] - 1, y + reach); j++) {
      for (let i = Math.max(0, x - reach); i <= Math.min(dim[0] - 1, x + reach); i++) {
        const away = (i - x) ** 2 + (j - y) ** 2 + (k - z) ** 2
        const at = (k * dim[1] + j) * dim[0] + i
        if (mask[at] && away < least) [best, least] = [at, away]
      }
    }
  }
  return best
}

// A piece and the voxels that touch it: the labels' grid may lie half a voxel beside the implant's.
export function erasePiece(labels, indices, dim) {
  const steps = [1, dim[0], dim[0] * dim[1]]
  for (const i of indices) {
    labels[i] = LABEL.remove
    steps.forEach((step, axis) => {
      const at = Math.floor(i / step) % dim[axis]
      if (at > 0) labels[i - step] = LABEL.remove
      if (at + 1 < dim[axis]) labels[i + step] = LABEL.remove
    })
  }
}
