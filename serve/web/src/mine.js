// mine.js - the skulls of this browser: a list in its own storage, because the server has none (who has a job's id sees it).

const KEY = 'calvaria.skulls'
const MOST = 50

export function mine(storage = localStorage) {
  try {
    const list = JSON.parse(storage.getItem(KEY) ?? '[]')
    return Array.isArray(list) ? list.filter(({ id }) => /^[0-9a-f]{32}$/.test(id)) : []
  } catch {
    return [] // storage is off, or holds something else
  }
}

function keep(list, storage) {
  try {
    storage.setItem(KEY, JSON.stringify(list.slice(0, MOST)))
  } catch {
    // storage is off: the list lives as long as the page
  }
}

// The newest first; known ones keep their place.
export function remember({ id, name, created, model, example }, storage = localStorage) {
  const list = mine(storage)
  const entry = { id, name: example ? 'Example skull' : name, created, model }
  const at = list.findIndex((one) => one.id === id)
  if (at < 0) list.unshift(entry)
  else list[at] = entry
  keep(list, storage)
}

export function forget(id, storage = localStorage) {
  keep(mine(storage).filter((one) => one.id !== id), storage)
}

export function forgetAll(storage = localStorage) {
  keep([], storage)
}
