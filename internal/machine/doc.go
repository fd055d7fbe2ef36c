//go:generate go -C ../kernel/_asm run . -routines probe -out ../../machine/probe_amd64.s -stubs ../../machine/probe_stubs_amd64.go -pkg machine

// Package machine does the two things that bound every kernel - multiply-adds
// from registers, and copies from memory to memory - as fast as the processor
// can, so that a benchmark can say how near to the limit it is. It uses the
// same workers and the same instruction set as package kernel.
package machine
