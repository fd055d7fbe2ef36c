// Package kernel holds the numbers: slices in, slices out, no tensors and no
// graph. Every function is generic over float32 and float64 and row-major.
//
// Work is cut by shape, never by the number of workers, and every reduction
// has a fixed order, so each result is bit-equal for any GOMAXPROCS.
//
// The portable Go code is the specification. Where assembly exists (generated
// by avo in the nested module _asm) it is selected by CPU feature and computes
// the same function within the error that the Go code's comment states.
//
// Slices that are too short are a programmer's error and panic; everything a
// user can get wrong is checked by the packages above.
package kernel
