// Reads a file with MP4Box.js and prints how many samples each track has.
const fs = require("fs");
const path = require("path");
const { createFile } = require(path.join(process.argv[2], "mp4box", "dist", "mp4box.all.cjs"));
const file = createFile();
file.onError = (module, message) => {
  console.error(module, message);
  process.exitCode = 1;
};
file.onReady = (info) => {
  if (!info.isFragmented) {
    console.error("not seen as fragmented");
    process.exitCode = 1;
  }
};
const bytes = fs.readFileSync(process.argv[3]);
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
buffer.fileStart = 0;
file.appendBuffer(buffer);
file.flush();
console.log(file.getInfo().tracks.map((t) => file.getTrackById(t.id).samples.length).join(","));
