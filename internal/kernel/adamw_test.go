package kernel

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// adamWRef is the step as the paper writes it, in float64.
func adamWRef(w, g, m, v, vmax []float64, p AdamWParams) {
	for i := range w {
		grad := p.GradScale * g[i]
		m[i] = p.Beta1*m[i] + (1-p.Beta1)*grad
		v[i] = p.Beta2*v[i] + (1-p.Beta2)*grad*grad
		second := v[i]
		if vmax != nil {
			vmax[i] = math.Max(vmax[i], second)
			second = vmax[i]
		}
		w[i] = p.Decay*w[i] - p.StepSize*m[i]/(math.Sqrt(second)*p.InvSqrtBC2+p.Eps)
	}
}

func adamWStep(step float64) AdamWParams {
	const lr = 1e-2
	return AdamWParams{
		Decay: 1 - lr*0.1, Beta1: 0.9, Beta2: 0.95, GradScale: 0.7, Eps: 1e-8,
		StepSize: lr / (1 - math.Pow(0.9, step)), InvSqrtBC2: 1 / math.Sqrt(1-math.Pow(0.95, step)),
	}
}

func testAdamW[T Float](t *testing.T, n int, amsGrad bool, tol float64) {
	w, intactW := fenced[T](n)
	m, intactM := fenced[T](n)
	v, intactV := fenced[T](n)
	copy(w, randn[T](n, 1, 1))
	clear(m)
	clear(v)
	w64, m64, v64 := widen(w), widen(m), widen(v)
	var vmax []T
	var vmax64 []float64
	if amsGrad {
		vmax, vmax64 = make([]T, n), make([]float64, n)
	}
	for step := 1; step <= 5; step++ {
		g := randn[T](n, 1/float64(step), uint64(step))
		AdamW(w, g, m, v, vmax, adamWStep(float64(step)))
		adamWRef(w64, widen(g), m64, v64, vmax64, adamWStep(float64(step)))
	}
	require.True(t, intactW() && intactM() && intactV(), "n = %d", n)
	requireClose(t, w64, w, tol, "w, n = %d", n)
	requireClose(t, m64, m, tol, "m, n = %d", n)
	requireClose(t, v64, v, tol, "v, n = %d", n)
	if amsGrad {
		requireClose(t, vmax64, vmax, tol, "vmax, n = %d", n)
	}
}

func TestAdamW(t *testing.T) { eachImpl(t, testAdamWEachLength) }

func testAdamWEachLength(t *testing.T) {
	eachLength(func(n int) { testAdamW[float32](t, n, false, 1e-6) })
	testAdamW[float32](t, 1000, true, 1e-6)
	testAdamW[float64](t, 1000, false, 1e-14)
	testAdamW[float64](t, 1000, true, 1e-14)
}

// TestAdamWErrorBound checks what AdamW states of float32, step by step.
func TestAdamWErrorBound(t *testing.T) { eachImpl(t, testAdamWErrorBound) }

func testAdamWErrorBound(t *testing.T) {
	const n, unit = 1001, 1.0 / (1 << 24)
	w, m, v := randn[float32](n, 1, 1), make([]float32, n), make([]float32, n)
	for step := 1; step <= 30; step++ {
		g, p := randn[float32](n, math.Exp(float64(step%7-3)), uint64(step)), adamWStep(float64(step))
		w64, m64, v64 := widen(w), widen(m), widen(v)
		before, size := widen(w), make([]float64, n)
		for i := range size {
			size[i] = p.Beta1*math.Abs(m64[i]) + (1-p.Beta1)*math.Abs(p.GradScale*float64(g[i]))
		}
		AdamW(w, g, m, v, nil, p)
		adamWRef(w64, widen(g), m64, v64, nil, p)
		for i := range w {
			update := p.StepSize * size[i] / (math.Sqrt(v64[i])*p.InvSqrtBC2 + p.Eps)
			require.LessOrEqual(t, math.Abs(float64(m[i])-m64[i]), 6*size[i]*unit, "m[%d] in step %d", i, step)
			require.LessOrEqual(t, math.Abs(float64(v[i])-v64[i]), 8*v64[i]*unit, "v[%d] in step %d", i, step)
			require.LessOrEqual(t, math.Abs(float64(w[i])-w64[i]), (4*math.Abs(p.Decay*before[i])+20*update)*unit, "w[%d] in step %d", i, step)
		}
	}
}

func TestAdamWPropagatesNaN(t *testing.T) { eachImpl(t, testAdamWPropagatesNaN) }

func testAdamWPropagatesNaN(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		w, g, m, v := make([]float32, 40), make([]float32, 40), make([]float32, 40), make([]float32, 40)
		g[33] = bad
		AdamW(w, g, m, v, nil, adamWStep(1))
		require.Equal(t, 33, FirstNonFinite(w))
		require.Equal(t, 33, FirstNonFinite(m))
		require.Equal(t, 33, FirstNonFinite(v))
	}
}

// Moments that have decayed into denormals change nothing, and computing with
// them leaves the floating-point mode as it was.
func TestAdamWDenormals(t *testing.T) { eachImpl(t, testAdamWDenormals) }

func testAdamWDenormals(t *testing.T) {
	const n, tiny = 100, 1e-40
	w, g, m, v := randn[float32](n, 1, 1), make([]float32, n), make([]float32, n), make([]float32, n)
	Fill(m, tiny)
	Fill(v, tiny)
	want := append([]float32(nil), w...)
	p := adamWStep(1000)
	p.Decay = 1
	AdamW(w, g, m, v, nil, p)
	require.Equal(t, want, w)
	require.LessOrEqual(t, MaxAbs(m), float32(tiny))
	require.LessOrEqual(t, MaxAbs(v), float32(tiny))

	Fill(m, tiny)
	Scale(m, 0.5, m)
	require.Equal(t, float32(tiny)*0.5, m[n-1], "denormals count again")
}

// With an eps near 0, or a gradient scale far from 1, denormals do count.
func TestAdamWDenormalsThatMatter(t *testing.T) { eachImpl(t, testAdamWDenormalsThatMatter) }

func testAdamWDenormalsThatMatter(t *testing.T) {
	const n = 50
	base := AdamWParams{Decay: 1, Beta1: 0.5, Beta2: 0.5, GradScale: 1, StepSize: 1, InvSqrtBC2: 1, Eps: 1e-8}
	check := func(name string, g, m, v float32, change func(p *AdamWParams)) {
		p := base
		change(&p)
		ws, gs, ms, vs := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		Fill(gs, g)
		Fill(ms, m)
		Fill(vs, v)
		want := make([]float64, n)
		adamWRef(want, widen(gs), widen(ms), widen(vs), nil, p)
		require.Greater(t, math.Abs(want[0]), 1e-3, name)
		AdamW(ws, gs, ms, vs, nil, p)
		requireClose(t, want, ws, 1e-3, "%s", name) // denormals have few digits
	}
	check("v under a small eps", 0, 1e-22, 1e-42, func(p *AdamWParams) { p.Eps = 1e-30 })
	check("m and eps", 0, 1e-40, 0, func(p *AdamWParams) { p.Eps = 1e-40 })
	check("eps", 0, 1e-38, 0, func(p *AdamWParams) { p.Eps = 1e-40 })
	check("gradient", 1e-40, 0, 0, func(p *AdamWParams) { p.GradScale = 1e38 })
	check("gradient scale", 1e38, 0, 0, func(p *AdamWParams) { p.GradScale = 1e-40 })
	check("step size", 0, 1e30, 0, func(p *AdamWParams) { p.StepSize = 1e-40 })

	zero := make([]float32, n)
	w := make([]float32, n)
	p := base
	p.Eps = 1e-40
	AdamW(w, zero, make([]float32, n), make([]float32, n), nil, p)
	require.Equal(t, zero, w, "0/eps is 0")
}
