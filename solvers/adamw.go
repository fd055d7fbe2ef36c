package solvers

import (
	"math"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"

	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/internal/kernel"
)

// Mode is one of the three meanings that "decoupled weight decay" has. With
// lr_t = lr s(t) for the schedule s, each step multiplies a weight by 1 - d:
type Mode int

const (
	// LRCoupled is PyTorch's, and the default: d = lr_t lambda.
	LRCoupled Mode = iota
	// Independent is that of the paper (Loshchilov and Hutter 2019, algorithm
	// 2): d = s(t) lambda. The learning rate and a group's LRMult do not enter.
	// It equals LRCoupled for lambda' = lr lambda.
	Independent
	// Corrected is AdamC (Defazio 2025, arXiv:2506.02285): d = lr_t^2 lambda /
	// lr, where lr is the peak, s = 1. It equals LRCoupled while the schedule
	// is at its peak. The paper means it for weights that a norm follows.
	Corrected
)

// String is the mode's name: lr_coupled, independent or corrected.
func (m Mode) String() string {
	switch m {
	case LRCoupled:
		return "lr_coupled"
	case Independent:
		return "independent"
	case Corrected:
		return "corrected"
	}
	return "invalid"
}

// ParseMode is the inverse of [Mode.String].
func ParseMode(name string) (Mode, error) {
	for m := LRCoupled; m <= Corrected; m++ {
		if m.String() == name {
			return m, nil
		}
	}
	return 0, errors.Errorf("solvers: mode = %q, want lr_coupled, independent or corrected", name)
}

// MarshalText writes the mode's name, for JSON.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads a mode's name.
func (m *Mode) UnmarshalText(b []byte) (err error) {
	*m, err = ParseMode(string(b))
	return err
}

// AdamW is Adam with decoupled weight decay, a gorgonia.Solver. See [NewAdamW].
// It is not safe for concurrent use.
type AdamW struct {
	core
	mode         Mode
	groupMode    map[string]Mode
	beta1, beta2 float64
	eps          float64
	amsgrad      bool
}

var _ gorgonia.Solver = (*AdamW)(nil)

type adamWOnly func(*AdamW)

func (o adamWOnly) setAdamW(a *AdamW) { o(a) }

// WithMode sets what the weight decay is multiplied by. The default is
// LRCoupled.
func WithMode(m Mode) AdamWOption { return adamWOnly(func(a *AdamW) { a.mode = m }) }

// WithGroupMode sets the mode of one group.
func WithGroupMode(group string, m Mode) AdamWOption {
	return adamWOnly(func(a *AdamW) { a.groupMode[group] = m })
}

// WithBetas sets the decay rates of the two moments. The defaults are 0.9 and
// 0.999.
func WithBetas(beta1, beta2 float64) AdamWOption {
	return adamWOnly(func(a *AdamW) { a.beta1, a.beta2 = beta1, beta2 })
}

// WithEps sets what is added to the root of the second moment. The default is
// 1e-8. With 0, which is permitted, a parameter whose gradients were all zero
// cannot be stepped, and every step is rehearsed on a copy of the parameter.
func WithEps(eps float64) AdamWOption { return adamWOnly(func(a *AdamW) { a.eps = eps }) }

// WithAMSGrad divides by the largest second moment so far instead of the
// current one (Reddi et al. 2018, arXiv:1904.09237).
func WithAMSGrad() AdamWOption { return adamWOnly(func(a *AdamW) { a.amsgrad = true }) }

// NewAdamW makes an AdamW solver for the parameters of gs. Step t of a
// parameter w with gradient g, after scaling and clipping, is
//
//	w = (1 - d) w                        d = lr_t lambda, see Mode
//	m = beta1 m + (1-beta1) g            exp_avg
//	v = beta2 v + (1-beta2) g^2          exp_avg_sq
//	w = w - lr_t (m / (1-beta1^t)) / (sqrt(v / (1-beta2^t)) + eps)
//
// with lr_t = lr s(t) LRMult. The defaults are PyTorch's: lr 1e-3, betas 0.9
// and 0.999, eps 1e-8, lambda 1e-2, no clipping. A group's own settings come
// before those of the solver. Every hyperparameter is a pure function of the
// options and the step.
//
// It deviates from the paper, with PyTorch, in that the decay is multiplied by
// the learning rate; [Independent] is the paper's. It deviates from PyTorch in
// that a nil gradient is refused unless [WithNilGrad] says Skip, and that a
// step that would make a number infinite or NaN is an error and changes
// nothing.
//
// It is an error if a hyperparameter is out of range, if eps is positive but 0
// in the type of one of its parameters, or if d is above 1, so that weights
// change sign, at step 1 or at the peak of a [Curve]. A schedule of another
// kind is checked as the run goes, by Step.
//
// References: Loshchilov and Hutter, Decoupled Weight Decay Regularization,
// ICLR 2019, arXiv:1711.05101; Kingma and Ba, Adam, ICLR 2015,
// arXiv:1412.6980; torch.optim.AdamW.
func NewAdamW(gs *groups.Groups, opts ...AdamWOption) (*AdamW, error) {
	a := &AdamW{beta1: 0.9, beta2: 0.999, eps: 1e-8, groupMode: map[string]Mode{}}
	c, err := newCore("adamw", gs, common{lr: 1e-3, decay: 1e-2}, a)
	if err != nil {
		return nil, err
	}
	a.core = c
	for i, o := range opts {
		if o == nil {
			return nil, nilOption(i)
		}
		o.setAdamW(a)
	}
	if err := a.validate(); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *AdamW) validate() error {
	for group, m := range a.groupMode {
		if a.groups.Named(group) == nil {
			return errors.Errorf("solvers: mode of group %q: there is no such group", group)
		}
		if m.String() == "invalid" {
			return errors.Errorf("solvers: mode of group %s = %d, want LRCoupled, Independent or Corrected", group, m)
		}
	}
	if a.mode.String() == "invalid" {
		return errors.Errorf("solvers: mode = %d, want LRCoupled, Independent or Corrected", a.mode)
	}
	for _, f := range []struct {
		name     string
		x, below float64
	}{{"beta1", a.beta1, 1}, {"beta2", a.beta2, 1}, {"eps", a.eps, math.Inf(1)}} {
		if err := inRange(f.name, f.x, f.below); err != nil {
			return err
		}
	}
	for _, s := range a.slots {
		if eps := or(a.groups.All()[s.group].Eps, a.eps); eps > 0 && s.round(eps) == 0 {
			return &ParamError{s.param.Name(), errors.Errorf("eps = %v is 0 in %v, want it larger, or 0", eps, s.param.Dtype())}
		}
	}
	return a.core.validate()
}

func (a *AdamW) moments() []string {
	if a.amsgrad {
		return []string{"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}
	}
	return []string{"exp_avg", "exp_avg_sq"}
}

func (a *AdamW) hyper(step int, g *groups.Group) (hyper, error) {
	h, s, err := a.scheduled(step, g)
	if err != nil {
		return h, err
	}
	h.beta1, h.beta2, h.eps = or(g.Beta1, a.beta1), or(g.Beta2, a.beta2), or(g.Eps, a.eps)
	mode, ok := a.groupMode[g.Name]
	if !ok {
		mode = a.mode
	}
	switch mode {
	case LRCoupled:
		h.shrink = h.lr * h.lambda
	case Independent:
		h.shrink = s * h.lambda
	case Corrected:
		h.shrink = h.lr * h.lambda * s
	}
	return h, h.check(step, g)
}

// adamWParams are the scalars of the parameter's next update.
func (h hyper) adamWParams(s *slot, scale float64) kernel.AdamWParams {
	t := float64(s.step + 1)
	return kernel.AdamWParams{
		Decay: 1 - h.shrink, Beta1: h.beta1, Beta2: h.beta2, Eps: h.eps, GradScale: scale,
		StepSize:   h.lr / (1 - math.Pow(h.beta1, t)),
		InvSqrtBC2: 1 / math.Sqrt(1-math.Pow(h.beta2, t)),
	}
}

// grow covers the rounding of one update of the moments.
const grow = 1 + 1e-6

// bound follows the update with the largest |g| that the norm permits. A
// weight that is finite stays finite if the decay does not enlarge it and the
// rest of the update is less than limits.nudge.
func (a *AdamW) bound(s *slot, h hyper, scale float64) (next bounds, safe bool) {
	p, lim := h.adamWParams(s, scale), s.limits()
	g := math.Abs(scale) * math.Sqrt(s.sumsq) * grow
	next.first = grow * (s.round(h.beta1)*s.first + s.round(1-h.beta1)*g)
	next.second = grow * (s.round(h.beta2)*s.second + s.round(1-h.beta2)*g*g)
	ratio := next.first / s.round(h.eps)
	safe = math.Abs(scale) < lim.large && g*g < lim.large && next.first < lim.large && next.second < lim.large &&
		math.Sqrt(next.second)*p.InvSqrtBC2+h.eps < lim.large &&
		p.StepSize < lim.large && ratio < lim.large && ratio*p.StepSize < lim.nudge/2
	return next, safe
}

func (a *AdamW) update(s *slot, h hyper, scale float64) {
	p := h.adamWParams(s, scale)
	if s.isF32() {
		adamW(&s.f32, p)
	} else {
		adamW(&s.f64, p)
	}
}

func adamW[T kernel.Float](b *buffers[T], p kernel.AdamWParams) {
	var vmax []T
	if len(b.state) == 3 {
		vmax = b.state[2]
	}
	kernel.AdamW(b.w, b.g, b.state[0], b.state[1], vmax, p)
}
