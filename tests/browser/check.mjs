// check.mjs - the tests' harness in JavaScript: each test by itself, the sum in the words of tests/check.c.
import assert from 'node:assert/strict'

const tests = []
export const test = (name, run) => tests.push({ name, run })
export { assert }

// timeout_s: of each test. after: run at the end, whatever happened.
export async function runAll({ timeout_s = 120, after = async () => {} } = {}) {
  let failed = 0
  for (const { name, run } of tests) {
    const start = Date.now()
    let timer
    try {
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not done after ${timeout_s} s`)), 1000 * timeout_s)
      })
      await Promise.race([run(), late])
      console.log(`ok      ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`)
    } catch (error) {
      failed++
      console.log(`FAILED  ${name}\n    ${String(error.stack ?? error).split('\n').slice(0, 14).join('\n    ')}`)
    } finally {
      clearTimeout(timer)
    }
  }
  await after()
  console.log(`${tests.length - failed} passed, ${failed} failed, 0 skipped`)
  process.exit(failed || tests.length === 0 ? 1 : 0)
}
