// Package blas offers gorget's matrix product to any Gorgonia program:
//
//	gorgonia.Use(blas.Implementation{})
//
// From then on every matrix product of the process, in Gorgonia and in its
// tensor package, runs on gorget's packed kernels - AVX-512 or AVX2 where the
// processor has them, by cgo-free Go assembly - and on all cores. Nothing else
// of the program changes. gorgonia.Use(gonum.Implementation{}) goes back.
package blas
