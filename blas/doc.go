// Package blas offers gorget's matrix product to any Gorgonia program:
//
//	gorgonia.Use(blas.Implementation{})
//
// From then on every matrix product of the process, in Gorgonia and in its
// tensor package, runs on gorget's packed kernels - AVX-512 or AVX2 where the
// processor has them, by cgo-free Go assembly - and on all cores. Nothing else
// of the program changes. BenchmarkPlainGraph and the benchmark named blas of
// command benchmarks show what it gains. gorgonia.Use(gonum.Implementation{}) goes back.
//
// The environment variable GORGET_CPU = avx2 or portable, read at start, keeps
// to that instruction set or to plain Go; the build tag purego leaves the
// assembly out.
package blas
