package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/gorget/gorget/internal/kernel"
)

// gemmSuite measures the float32 matrix products of GPT models: forward (NT,
// with weights stored (out,in), or NN), gradients of the input (NN) and of the
// weights (TN); wide ones, those of an output head over 50257 tokens, and
// those of attention heads.
var gemmSuite = &suite{
	title:      "Matrix product, float32",
	benchmarks: []benchmark{{name: "gemm", cases: shapeNames(gemmShapes)}},
	run:        runGemm,
}

// gemmShape is C(M,N) = op(A) op(B), summed over K.
type gemmShape struct {
	TransA, TransB bool
	M, N, K        int
}

var gemmShapes = []gemmShape{
	{false, false, 1024, 3072, 768},
	{false, true, 1024, 3072, 768},
	{false, false, 1024, 768, 3072},
	{false, true, 1024, 768, 3072},
	{true, false, 768, 3072, 1024},
	{true, false, 3072, 768, 1024},
	{false, true, 256, 50257, 768},
	{false, false, 256, 768, 50257},
	{true, false, 50257, 768, 256},
	{false, true, 768, 384, 384},
	{false, false, 768, 384, 384},
	{true, false, 384, 384, 768},
	{false, true, 768, 128, 128},
	{false, false, 768, 128, 128},
	{true, false, 128, 128, 768},
	{false, true, 1024, 1024, 64},
	{false, false, 1024, 64, 1024},
	{true, false, 1024, 64, 1024},
}

func (g gemmShape) String() string {
	letter := map[bool]string{false: "N", true: "T"}
	return fmt.Sprintf("%s%s_%dx%dx%d", letter[g.TransA], letter[g.TransB], g.M, g.N, g.K)
}

func (g gemmShape) flops() float64 { return 2 * float64(g.M) * float64(g.N) * float64(g.K) }

// strides are the row lengths of A and B as they lie in memory.
func (g gemmShape) strides() (lda, ldb int) {
	lda, ldb = g.K, g.N
	if g.TransA {
		lda = g.M
	}
	if g.TransB {
		ldb = g.K
	}
	return lda, ldb
}

func shapeNames(shapes []gemmShape) []string {
	var names []string
	for _, g := range shapes {
		names = append(names, g.String())
	}
	return names
}

func runGemm(ctx context.Context, s settings, _ []string, name string) ([]row, error) {
	for _, g := range gemmShapes {
		if g.String() == name {
			return measureGemm(ctx, s, g)
		}
	}
	return nil, fmt.Errorf("unknown shape %s", name)
}

func measureGemm(ctx context.Context, s settings, g gemmShape) ([]row, error) {
	s.turn /= 5 // a product takes milliseconds
	contenders := []contender{gemmContender(g)}
	contenders = append(contenders, peakContenders(s)...)
	others := len(contenders)
	if s.profiled {
		s.note("  a profile is being taken: no comparison with OpenBLAS")
	} else if blas, _, err := startOpenBLAS(ctx, s, g); err == nil {
		defer blas.close()
		s.note("  OpenBLAS: %s", blas.info)
		contenders = append(contenders, blas)
	} else {
		s.note("  no comparison with OpenBLAS: %v", err)
	}

	results, err := alternate(ctx, s.schedule, contenders)
	if err != nil {
		return nil, err
	}
	ours := rates(g.flops(), results[0].seconds)
	rows := []row{{"gemm", g.String(), median(ours) / 1e9, "GFLOP/s"}}
	if limit := peakRates(results[1:others]); limit != nil {
		rows = append(rows,
			row{"fma_peak", g.String(), median(limit) / 1e9, "GFLOP/s"},
			row{"gemm_of_fma_peak", g.String(), medianRatio(ours, limit), "ratio"})
	}
	if others < len(results) && results[others].seconds != nil {
		theirs := rates(g.flops(), results[others].seconds)
		rows = append(rows,
			row{"gemm_openblas", g.String(), median(theirs) / 1e9, "GFLOP/s"},
			row{"gemm_of_openblas", g.String(), medianRatio(ours, theirs), "ratio"})
	}
	return rows, nil
}

func gemmContender(g gemmShape) contender {
	a, b, c := ramp[float32](g.M*g.K), ramp[float32](g.K*g.N), make([]float32, g.M*g.N)
	lda, ldb := g.strides()
	return local{label: "gemm", step: func() error {
		kernel.Gemm(g.TransA, g.TransB, g.M, g.N, g.K, 1, a, lda, b, ldb, 0, c, g.N)
		return nil
	}}
}

// coreTypes are the kernels of OpenBLAS to choose from, by OPENBLAS_CORETYPE;
// "" leaves the choice to it, which is often not the best.
var coreTypes = []string{"", "Haswell", "SkylakeX", "Zen"}

// startOpenBLAS starts the peer on a shape with the kernels that are fastest
// for it, and tells which these are.
func startOpenBLAS(ctx context.Context, s settings, g gemmShape) (best *process, coreType string, err error) {
	var bestTime float64
	for _, core := range coreTypes {
		p, err := startPeer(ctx, "gemm_openblas", s.pythons[0], "openblas.py", []string{"OPENBLAS_CORETYPE=" + core},
			map[string]any{"threads": runtime.GOMAXPROCS(0), "case": g})
		if err != nil && core == "" {
			return nil, "", err // not installed
		} else if err != nil {
			continue
		}
		r, err := p.run(6)
		if t := median(r.Seconds); err == nil && (best == nil || t < bestTime) {
			best, p = p, best
			bestTime, coreType = t, core
		} // an error: kernels that this processor cannot run
		if p != nil {
			p.close()
		}
	}
	if best == nil {
		return nil, "", errors.New("OpenBLAS runs on no core type")
	}
	return best, coreType, nil
}

// strongestCoreType is the best for a large product, "" if OpenBLAS is not
// installed.
func strongestCoreType(ctx context.Context, s settings) string {
	p, core, err := startOpenBLAS(ctx, s, gemmShapes[1])
	if err != nil {
		return ""
	}
	p.close()
	return core
}
