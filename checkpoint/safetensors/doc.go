// Package safetensors reads and writes files of named tensors in the format of
// Hugging Face's safetensors: 8 bytes with the header's length, the header (a
// JSON object that gives each tensor's dtype, shape and place), and the numbers,
// little-endian and row-major.
//
// A [File] is read in place: tensors are converted piece by piece into memory
// that the caller owns, so nothing is allocated on the word of a header, and a
// model is loaded with little more memory than its weights take. Opening checks
// the whole header as strictly as the reference does: every tensor lies inside
// the file, none overlap, no byte is left over, and lengths agree with shapes.
//
// [Write] streams tensors out, rounding to a narrower type on the way if asked.
package safetensors
