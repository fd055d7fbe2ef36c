package main

import (
	"context"
	"fmt"

	gonumblas "gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/gorget/gorget/blas"
	"github.com/gorget/gorget/internal/kernel"
)

// blasSuite measures what a plain Gorgonia program gains by
// gorgonia.Use(blas.Implementation{}): matrix products in both types beside
// Gonum's, which are Gorgonia's own, and without any assembly.
var blasSuite = &suite{
	title:      "Matrix product of package blas beside Gonum's",
	benchmarks: []benchmark{{name: "blas", cases: shapeNames(blasShapes)}},
	run: func(ctx context.Context, s settings, _ []string, name string) ([]row, error) {
		for _, g := range blasShapes {
			if g.String() == name {
				return measureBLAS(ctx, s, g)
			}
		}
		return nil, fmt.Errorf("unknown shape %s", name)
	},
}

var blasShapes = []gemmShape{
	{false, false, 128, 128, 128},
	{false, false, 512, 512, 512},
	{false, true, 512, 768, 768},
	{true, false, 768, 768, 512},
}

// portableGemm is the subject of a child process that keeps to portable Go.
const portableGemm = "gemm_portable"

func measureBLAS(ctx context.Context, s settings, g gemmShape) ([]row, error) {
	s.turn /= 5 // a product takes milliseconds
	contenders := []contender{
		blasContender("gemm_blas", g, blas.Implementation{}.Sgemm),
		blasContender("gemm_gonum", g, gonum.Implementation{}.Sgemm),
		blasContender("gemm_f64", g, blas.Implementation{}.Dgemm),
		blasContender("gemm_f64_gonum", g, gonum.Implementation{}.Dgemm),
	}
	if s.profiled {
		s.note("  a profile is being taken: no portable product, which needs a process of its own")
	} else {
		portable, err := spawn(ctx, job{Subject: portableGemm, Gemm: &g}, kernel.CPUVariable+"=portable")
		if err != nil {
			return nil, err
		}
		defer portable.close()
		contenders = append(contenders, portable)
	}
	results, err := alternate(ctx, s.schedule, contenders)
	if err != nil {
		return nil, err
	}
	var rows []row
	for i, c := range contenders {
		ours := rates(g.flops(), results[i].seconds)
		rows = append(rows, row{c.name(), g.String(), median(ours) / 1e9, "GFLOP/s"})
		if i%2 == 0 { // Gonum's follows; float32 is what the portable one is
			theirs := results[(i+1)%4]
			rows = append(rows, row{c.name() + "_speedup_over_gonum", g.String(), medianRatio(ours, rates(g.flops(), theirs.seconds)), "ratio"})
		}
	}
	return rows, nil
}

// gemmFunc is Sgemm or Dgemm.
type gemmFunc[T kernel.Float] func(tA, tB gonumblas.Transpose, m, n, k int, alpha T, a []T, lda int, b []T, ldb int, beta T, c []T, ldc int)

func blasContender[T kernel.Float](label string, g gemmShape, gemm gemmFunc[T]) contender {
	a, b, c := ramp[T](g.M*g.K), ramp[T](g.K*g.N), make([]T, g.M*g.N)
	letter := map[bool]gonumblas.Transpose{false: gonumblas.NoTrans, true: gonumblas.Trans}
	lda, ldb := g.strides()
	return local{label: label, step: func() error {
		gemm(letter[g.TransA], letter[g.TransB], g.M, g.N, g.K, 1, a, lda, b, ldb, 0, c, g.N)
		return nil
	}}
}
