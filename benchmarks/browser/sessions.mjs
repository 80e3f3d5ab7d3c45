// Run ONNX files in onnxruntime-web (WebAssembly, one thread), in turn, and time each run.
//
//     node sessions.mjs REQUEST.json ANSWER.json
//
// REQUEST: {files: {name: path}, inputs: {name: {type, dims, data}}, rounds, profile}
// ANSWER: {name: {loadSeconds, logits: {dims, data}, seconds: [...]}}
// With `profile`, ONNX Runtime prints the profile of each file's first run, a JSON list, in turn.
import { readFileSync, writeFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

const [requestPath, answerPath] = process.argv.slice(2);
const request = JSON.parse(readFileSync(requestPath, "utf8"));
const ARRAYS = {
  int64: (data) => BigInt64Array.from(data, BigInt),
  float32: (data) => Float32Array.from(data),
};
ort.env.wasm.numThreads = 1;

const inputs = Object.fromEntries(
  Object.entries(request.inputs).map(([name, { type, dims, data }]) => [
    name,
    new ort.Tensor(type, ARRAYS[type](data), dims),
  ]),
);

const sessions = {};
const answer = {};
for (const [name, path] of Object.entries(request.files)) {
  const content = readFileSync(path);
  const start = performance.now();
  sessions[name] = await ort.InferenceSession.create(content, {
    executionProviders: ["wasm"],
    enableProfiling: request.profile,
    logSeverityLevel: 3,
  });
  const loadSeconds = (performance.now() - start) / 1000;
  const { logits } = await sessions[name].run(inputs);
  answer[name] = {
    loadSeconds,
    logits: { dims: logits.dims, data: Array.from(logits.data) },
    seconds: [],
  };
  if (request.profile) sessions[name].endProfiling();
}
const names = Object.keys(sessions);
for (let round = 0; round < request.rounds; round++) {
  // In random order: a fixed one would always favour the same file.
  const order = names.map((name) => [Math.random(), name]).sort((a, b) => a[0] - b[0]);
  for (const [, name] of order) {
    const start = performance.now();
    await sessions[name].run(inputs);
    answer[name].seconds.push((performance.now() - start) / 1000);
  }
}
writeFileSync(answerPath, JSON.stringify(answer));
