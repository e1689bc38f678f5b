// volume.js - masks for the slice views. What a screen cannot show need not fill a graphics card: a volume of more than MAX_VOX voxels
// is thinned by a whole factor (bone stays bone: the largest value of each block), in the same world frame.

const MAX_VOX = 256 ** 3

async function gunzip(buffer) {
  const head = new Uint8Array(buffer, 0, 2)
  if (head[0] !== 0x1f || head[1] !== 0x8b) return buffer
  return new Response(new Blob([buffer]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer()
}

function readHeader(view) {
  const dim = [view.getInt16(42, true), view.getInt16(44, true), view.getInt16(46, true)]
  const [type, offset] = [view.getInt16(70, true), view.getFloat32(108, true)]
  if (view.getInt32(0, true) !== 348 || type !== 2) throw new Error('a mask of bytes in NIfTI-1 was expected')
  return { dim, offset }
}

function thinVoxels(src, dim, factor, small) {
  const dst = new Uint8Array(small[0] * small[1] * small[2])
  for (let z = 0; z < dim[2]; z++) {
    for (let y = 0; y < dim[1]; y++) {
      const row = (z * dim[1] + y) * dim[0]
      const to = (Math.floor(z / factor) * small[1] + Math.floor(y / factor)) * small[0]
      for (let x = 0; x < dim[0]; x++) if (src[row + x]) dst[to + Math.floor(x / factor)] = 1
    }
  }
  return dst
}

// The centre of the first block lies (factor - 1) / 2 voxels from the centre of the first voxel.
function thinHeader(view, factor, small) {
  const SROW = 280
  const shift = (factor - 1) / 2
  for (let axis = 0; axis < 3; axis++) {
    view.setInt16(42 + 2 * axis, small[axis], true)
    view.setFloat32(80 + 4 * axis, view.getFloat32(80 + 4 * axis, true) * factor, true)
    const row = [0, 1, 2, 3].map((column) => view.getFloat32(SROW + 16 * axis + 4 * column, true))
    const origin = row[3] + shift * (row[0] + row[1] + row[2])
    ;[row[0] * factor, row[1] * factor, row[2] * factor, origin].forEach((value, column) =>
      view.setFloat32(SROW + 16 * axis + 4 * column, value, true))
  }
  view.setInt16(252, 0, true) // the sform alone says where it lies
  view.setInt16(254, Math.max(1, view.getInt16(254, true)), true)
}

// A .nii or .nii.gz buffer -> a .nii buffer of at most maxVox voxels.
export async function thinVolume(buffer, maxVox = MAX_VOX) {
  const raw = await gunzip(buffer)
  const { dim, offset } = readHeader(new DataView(raw))
  let factor = 1
  while (Math.ceil(dim[0] / factor) * Math.ceil(dim[1] / factor) * Math.ceil(dim[2] / factor) > maxVox) factor++
  if (factor === 1) return raw
  const small = dim.map((n) => Math.ceil(n / factor))
  const voxels = thinVoxels(new Uint8Array(raw, offset), dim, factor, small)
  const thin = new Uint8Array(offset + voxels.length)
  thin.set(new Uint8Array(raw, 0, offset))
  thin.set(voxels, offset)
  thinHeader(new DataView(thin.buffer), factor, small)
  return thin.buffer
}
