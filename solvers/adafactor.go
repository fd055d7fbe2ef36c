package solvers

import (
	"math"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/internal/kernel"
)

// Adafactor is PaLM's optimizer, a gorgonia.Solver. See [NewAdafactor]. It is
// not safe for concurrent use.
type Adafactor struct {
	core
	beta1      float64
	exponent   float64
	updateClip float64
	unscaled   bool
	partial    []float64 // sums of pieces, see piece
}

var _ gorgonia.Solver = (*Adafactor)(nil)

type adafactorOnly func(*Adafactor)

func (o adafactorOnly) setAdafactor(a *Adafactor) { o(a) }

// WithMomentum sets beta1, the decay rate of the averaged update. The default
// is 0.9.
func WithMomentum(beta1 float64) AdafactorOption {
	return adafactorOnly(func(a *Adafactor) { a.beta1 = beta1 })
}

// WithBeta2Exponent sets c in beta2 = 1 - k^-c. The default is 0.8.
func WithBeta2Exponent(c float64) AdafactorOption {
	return adafactorOnly(func(a *Adafactor) { a.exponent = c })
}

// WithUpdateClip sets the largest RMS that a parameter's update may have
// before it is scaled by the learning rate. The default is 1; +Inf turns the
// clip off.
func WithUpdateClip(rms float64) AdafactorOption {
	return adafactorOnly(func(a *Adafactor) { a.updateClip = rms })
}

// WithoutParameterScaling makes the learning rate absolute: the update is not
// multiplied by the RMS of the parameter.
func WithoutParameterScaling() AdafactorOption {
	return adafactorOnly(func(a *Adafactor) { a.unscaled = true })
}

const (
	gradEps  = 1e-30 // added to g^2
	minScale = 1e-3  // least RMS that a parameter is taken to have
)

// NewAdafactor makes the optimizer that trained PaLM: Adafactor without
// factored second moments, with parameter scaling. Step k of a parameter p
// with gradient g, after scaling and global clipping, is
//
//	beta2 = 1 - k^-0.8
//	v = beta2 v + (1-beta2) (g^2 + 1e-30)       exp_avg_sq
//	y = g / sqrt(v)
//	y = y / max(1, RMS(y) / 1)                  update clipping
//	m = beta1 m + (1-beta1) lr_k max(RMS(p), 1e-3) y    exp_avg
//	p = (1 - lambda lr_k^2) p - m
//
// with lr_k = lr s(k) LRMult. The defaults are lr 1e-2, beta1 0.9, and lambda 1,
// which is PaLM's decay of lr^2; a group's WeightDecay of 0 exempts it. PaLM's
// schedule is [InverseSqrt](0, 10000), its clip WithClipGlobalNorm(1). There is
// no bias correction: beta2 is 0 at the first step.
//
// It deviates from the Adafactor paper in what PaLM changed: second moments
// are not factored, and the decay is lr^2. The momentum averages the scaled
// update and 1e-30 stands with g^2, as in t5x; that updates are clipped is
// t5x's default, which PaLM does not mention.
//
// Groups may set LRMult, WeightDecay and Beta1; Beta2 and Eps are refused.
//
// References: Shazeer and Stern, Adafactor, ICML 2018, arXiv:1804.04235;
// Chowdhery et al., PaLM, 2022, arXiv:2204.02311, section 5; google-research/
// t5x@cc342d4 adafactor.py.
func NewAdafactor(gs *groups.Groups, opts ...AdafactorOption) (*Adafactor, error) {
	a := &Adafactor{beta1: 0.9, exponent: 0.8, updateClip: 1}
	c, err := newCore("adafactor", gs, common{lr: 1e-2, decay: 1}, a)
	if err != nil {
		return nil, err
	}
	a.core = c
	for i, o := range opts {
		if o == nil {
			return nil, nilOption(i)
		}
		o.setAdafactor(a)
	}
	if err := inRange("beta1", a.beta1, 1); err != nil {
		return nil, err
	}
	if !(a.exponent > 0 && a.exponent < math.Inf(1)) {
		return nil, errors.Errorf("solvers: beta2 exponent = %v, want 0 < exponent < inf", a.exponent)
	}
	if !(a.updateClip > 0) {
		return nil, errors.Errorf("solvers: update clip = %v, want > 0", a.updateClip)
	}
	for _, g := range gs.All() {
		if g.Beta2 != nil || g.Eps != nil {
			return nil, errors.Errorf("solvers: group %s sets beta2 or eps, which Adafactor has no use for", g.Name)
		}
	}
	if err := a.validate(); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Adafactor) moments() []string { return []string{"exp_avg", "exp_avg_sq"} }

func (a *Adafactor) hyper(step int, g *groups.Group) (hyper, error) {
	h, _, err := a.scheduled(step, g)
	if err != nil {
		return h, err
	}
	h.beta1 = or(g.Beta1, a.beta1)
	h.shrink = h.lambda * h.lr * h.lr
	return h, h.check(step, g)
}

func (a *Adafactor) beta2(s *slot) float64 { return 1 - math.Pow(float64(s.step+1), -a.exponent) }

// bound: as for AdamW, a finite weight stays finite if the decay does not
// enlarge it and what is subtracted is less than limits.nudge. y^2 is at most
// 1/(1-beta2), because v is at least (1-beta2) g^2.
func (a *Adafactor) bound(s *slot, h hyper, scale float64) (next bounds, safe bool) {
	lim, beta2 := s.limits(), a.beta2(s)
	g := math.Abs(scale) * math.Sqrt(s.sumsq) * grow
	y := grow / math.Sqrt(1-beta2)
	s.scale = a.paramScale(s) // a pass over the weights: update reads it too
	next.first = grow * (s.round(h.beta1)*s.first + s.round(1-h.beta1)*h.lr*s.scale*y)
	next.second = grow * (s.round(beta2)*s.second + s.round(1-beta2)*(g*g+gradEps))
	safe = math.Abs(scale) < lim.large && g*g < lim.large && next.second < lim.large && next.first < lim.nudge/2
	return next, safe
}

func (a *Adafactor) update(s *slot, h hyper, scale float64) {
	if s.isF32() {
		adafactor(a, &s.f32, h, scale, a.beta2(s), s.scale)
	} else {
		adafactor(a, &s.f64, h, scale, a.beta2(s), s.scale)
	}
}

// piece is the length of the pieces in which a parameter is worked on; it
// fixes the order of summation.
const piece = 1 << 14

func adafactor[T kernel.Float](a *Adafactor, b *buffers[T], h hyper, scale, beta2, paramScale float64) {
	m, v := b.state[0], b.state[1]
	if n := (len(b.w) + piece - 1) / piece; len(a.partial) < n {
		a.partial = make([]float64, n)
	}
	gs, b2, c2 := T(scale), T(beta2), T(1-beta2)
	kernel.ParallelRange(len(b.w), piece, func(lo, hi int) {
		sum := 0.0
		for i := lo; i < hi; i++ {
			g := gs * b.g[i]
			v[i] = b2*v[i] + c2*(g*g+gradEps)
			sum += float64(g * g / v[i]) // y^2
		}
		a.partial[lo/piece] = sum
	})
	sum := 0.0
	for _, s := range a.partial[:(len(b.w)+piece-1)/piece] {
		sum += s
	}
	rms := math.Sqrt(sum / float64(len(b.w)))
	keep, b1 := T(1-h.shrink), T(h.beta1)
	c1 := T((1 - h.beta1) * h.lr * paramScale / max(1, rms/a.updateClip))
	kernel.ParallelRange(len(b.w), piece, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y := gs * b.g[i] / T(math.Sqrt(float64(v[i])))
			m[i] = b1*m[i] + c1*y
			b.w[i] = keep*b.w[i] - m[i]
		}
	})
}

// paramScale is max(RMS(w), 1e-3), or 1 without parameter scaling.
func (a *Adafactor) paramScale(s *slot) float64 {
	var sum float64
	switch {
	case a.unscaled:
		return 1
	case s.isF32():
		sum = kernel.SumSquares(s.f32.w)
	default:
		sum = kernel.SumSquares(s.f64.w)
	}
	return max(math.Sqrt(sum/float64(s.param.Size())), minScale)
}
