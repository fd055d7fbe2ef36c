package solvers_test

import (
	"math"
	"testing"

	"github.com/pkg/errors"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/solvers"
)

var nan, inf = math.NaN(), math.Inf(1)

func TestConstructorsRefuse(t *testing.T) {
	b := mixed(t, registered...)
	gs := b.split(groups.GPT2Policy())
	type adamW = []solvers.AdamWOption
	for want, opts := range map[string]adamW{
		"lr = NaN":               {solvers.WithLR(nan)},
		"lr = -1, want 0 <= lr":  {solvers.WithLR(-1)},
		"lr = +Inf":              {solvers.WithLR(inf)},
		"weight decay = -0.1":    {solvers.WithWeightDecay(-0.1)},
		"weight decay = NaN":     {solvers.WithWeightDecay(nan)},
		"beta1 = 1, want 0":      {solvers.WithBetas(1, 0.999)},
		"beta1 = -0.5":           {solvers.WithBetas(-0.5, 0.999)},
		"beta1 = NaN":            {solvers.WithBetas(nan, 0.999)},
		"beta2 = 1, want 0":      {solvers.WithBetas(0.9, 1)},
		"beta2 = NaN":            {solvers.WithBetas(0.9, nan)},
		"eps = -1e-08":           {solvers.WithEps(-1e-8)},
		"eps = NaN":              {solvers.WithEps(nan)},
		"eps = 1e-60 is 0 in":    {solvers.WithEps(1e-60)},
		"mode = 3":               {solvers.WithMode(3)},
		"mode of group decay":    {solvers.WithGroupMode("decay", -1)},
		`mode of group "dacey"`:  {solvers.WithGroupMode("dacey", solvers.LRCoupled)},
		"clip norm = 0":          {solvers.WithClipGlobalNorm(0)},
		"clip norm = NaN":        {solvers.WithClipGlobalNorm(nan)},
		"clip norm = +Inf":       {solvers.WithClipGlobalNorm(inf)},
		"gradient scale = 0":     {solvers.WithGradScale(0)},
		"gradient scale = NaN":   {solvers.WithGradScale(nan)},
		"nil gradients = 2":      {solvers.WithNilGrad(2)},
		"schedule = nil":         {solvers.WithSchedule(nil)},
		"warmup = -1":            {solvers.WithSchedule(solvers.Linear(-1, 10, 0))},
		"floor = NaN":            {solvers.WithDecaySchedule(solvers.Linear(1, 10, nan))},
		"schedule = -1":          {solvers.WithSchedule(solvers.Func(func(int) float64 { return -1 }))},
		"decay schedule = NaN":   {solvers.WithDecaySchedule(solvers.Func(func(int) float64 { return nan }))},
		"weights by 1 - 2, want": {solvers.WithLR(2), solvers.WithWeightDecay(1)},
		"step 50, group":         {solvers.WithLR(2), solvers.WithWeightDecay(1), solvers.WithSchedule(solvers.WarmupCosine(50, 100, 0))},
		"step 70, group":         {solvers.WithLR(2), solvers.WithWeightDecay(1), solvers.WithDecaySchedule(solvers.Linear(70, 100, 0))},
		"lr = +Inf, want":        {solvers.WithLR(1e300), solvers.WithSchedule(solvers.Func(func(int) float64 { return 1e300 })), solvers.WithWeightDecay(0)},
	} {
		_, err := solvers.NewAdamW(gs, opts...)
		assert.ErrorContains(t, err, want)
	}
	for want, opts := range map[string][]solvers.AdafactorOption{
		"lr = NaN":             {solvers.WithLR(nan)},
		"beta1 = 1, want 0":    {solvers.WithMomentum(1)},
		"beta2 exponent = 0":   {solvers.WithBeta2Exponent(0)},
		"beta2 exponent = NaN": {solvers.WithBeta2Exponent(nan)},
		"update clip = 0":      {solvers.WithUpdateClip(0)},
		"update clip = NaN":    {solvers.WithUpdateClip(nan)},
		"clip norm = -1":       {solvers.WithClipGlobalNorm(-1)},
	} {
		_, err := solvers.NewAdafactor(gs, opts...)
		assert.ErrorContains(t, err, want)
	}
	_, err := solvers.NewAdamW(nil)
	assert.ErrorContains(t, err, "groups = nil")
	_, err = solvers.NewAdafactor(nil)
	assert.ErrorContains(t, err, "groups = nil")
	own, err := groups.New(b.params, []groups.Group{{Name: "g", Params: b.params.All(), Settings: groups.Settings{Eps: groups.Value(1e-8)}}})
	require.NoError(t, err)
	_, err = solvers.NewAdafactor(own)
	assert.ErrorContains(t, err, "group g sets beta2 or eps")

	_, err = solvers.NewAdamW(gs, solvers.WithLR(1), nil)
	assert.ErrorContains(t, err, "option 1 = nil")
	_, err = solvers.NewAdafactor(gs, nil)
	assert.ErrorContains(t, err, "option 0 = nil")
	_, err = solvers.NewGrouped(gs, nil)
	assert.ErrorContains(t, err, "newSolver = nil")

	sgd := func(*groups.Group) (gorgonia.Solver, error) { return gorgonia.NewVanillaSolver(), nil }
	_, err = solvers.NewGrouped(nil, sgd)
	assert.ErrorContains(t, err, "groups = nil")
	_, err = solvers.NewGrouped(gs, sgd, nil)
	assert.ErrorContains(t, err, "option 0 = nil")
	_, err = solvers.NewGrouped(gs, sgd, solvers.WithClipGlobalNorm(nan))
	assert.ErrorContains(t, err, "clip norm = NaN")
	_, err = solvers.NewGrouped(gs, func(*groups.Group) (gorgonia.Solver, error) { return nil, errors.New("no money") })
	assert.ErrorContains(t, err, "group decay: no money")
	_, err = solvers.NewGrouped(gs, func(*groups.Group) (gorgonia.Solver, error) { return nil, nil })
	assert.ErrorContains(t, err, "group decay = nil")
}

// A schedule that goes wrong in the middle of a run stops it.
func TestScheduleIsCheckedAtEveryStep(t *testing.T) {
	b := mixed(t, registered...)
	s := newAdamW(t, b, solvers.WithSchedule(solvers.Func(func(step int) float64 {
		if step == 3 {
			return nan
		}
		return 1
	})))
	walk(t, b, s, 1, 2)
	before := image(b, s)
	require.ErrorContains(t, s.Step(b.list()), "step 3: schedule = NaN")
	require.Equal(t, before, image(b, s))
}

// valueOnly has nothing but the two methods of a ValueGrad.
type valueOnly struct{ v, g gorgonia.Value }

func (v valueOnly) Value() gorgonia.Value         { return v.v }
func (v valueOnly) Grad() (gorgonia.Value, error) { return v.g, nil }

// failing cannot tell its gradient.
type failing struct{ *pair }

func (failing) Grad() (gorgonia.Value, error) { return nil, errors.New("lost") }

// Every solver refuses the same input with the same error, naming the
// parameter, and nothing changes.
func TestStepRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad
		is    error
		want  string
	}{
		{"unknown name", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			return append(list, newBench(t).add("stranger", graph.Bias, float32s([]int{1}, 1)))
		}, solvers.ErrUnknownParam, "stranger"},
		{"unknown node", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			return append(list, gorgonia.NewVector(b.params.Graph(), tensor.Float32, gorgonia.WithShape(1), gorgonia.WithName("stray")))
		}, solvers.ErrUnknownParam, "stray"},
		{"same name, other tensor", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			list[1] = newBench(t).add("bias", graph.Bias, float64s([]int{3}, 1, 2, 3))
			return list
		}, solvers.ErrUnknownParam, "bias: it has the name of a parameter but another tensor"},
		{"no name", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			return append(list, valueOnly{})
		}, solvers.ErrUnknownParam, "solvers_test.valueOnly"},
		{"nil", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			return append(list, nil)
		}, solvers.ErrUnknownParam, "nil"},
		{"nil parameter", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			return append(list, (*graph.Param)(nil))
		}, solvers.ErrUnknownParam, "nil"},
		{"nil node", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			return append(list, (*gorgonia.Node)(nil))
		}, solvers.ErrUnknownParam, "nil"},
		{"twice", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			return append(list, list[2])
		}, solvers.ErrDuplicateParam, "gain"},
		{"missing", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			return list[:1]
		}, solvers.ErrMissingParam, "bias, gain, temperature"},
		{"nothing", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			return nil
		}, solvers.ErrMissingParam, "matrix, bias"},
		{"nil gradient", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			b.pairs["gain"].grad = nil
			return list
		}, solvers.ErrNilGrad, "gain"},
		{"failing gradient", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			list[2] = failing{b.pairs["gain"]}
			return list
		}, nil, "parameter gain: gradient: lost"},
		{"shape", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			b.pairs["matrix"].grad = float32s([]int{3, 2}, 0, 0, 0, 0, 0, 0)
			return list
		}, solvers.ErrMismatch, "matrix: gradient of shape (3, 2) for a parameter of shape (2, 3)"},
		{"dtype", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			b.pairs["gain"].grad = float64s([]int{1}, 0)
			return list
		}, solvers.ErrMismatch, "gain: gradient of dtype float64 for a parameter of dtype float32"},
		{"transposed", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			x := float32s([]int{3, 2}, 0, 0, 0, 0, 0, 0)
			require.NoError(t, x.T())
			copied := *b.pairs["matrix"]
			copied.grad = x
			list[0] = &copied
			return list
		}, nil, "matrix: gradient: graph: tensor of shape (2, 3) has strides [1 2]"},
		{"NaN", func(t *testing.T, b *bench, list []gorgonia.ValueGrad) []gorgonia.ValueGrad {
			b.pairs["bias"].set(0, 0, nan)
			return list
		}, solvers.ErrNonFinite, "bias: gradient[2] = NaN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := mixed(t, registered...)
			gs := b.split(groups.GPT2Policy())
			a, err := solvers.NewAdamW(gs)
			require.NoError(t, err)
			f, err := solvers.NewAdafactor(gs)
			require.NoError(t, err)
			stock, err := solvers.NewGrouped(gs, func(*groups.Group) (gorgonia.Solver, error) { return gorgonia.NewVanillaSolver(), nil })
			require.NoError(t, err)
			walk(t, b, a, 1, 1)
			walk(t, b, f, 2, 2)
			for _, p := range b.pairs {
				p.set(p.weights()...)
			}
			list := c.spoil(t, b, b.list())
			before := image(b, a) + image(b, f)
			for _, s := range []gorgonia.Solver{a, f, stock} {
				err := s.Step(list)
				require.ErrorContains(t, err, c.want)
				if c.is != nil {
					require.ErrorIs(t, err, c.is)
				}
				var pe *solvers.ParamError
				require.ErrorAs(t, err, &pe)
				require.Equal(t, before, image(b, a)+image(b, f))
			}
		})
	}
}

func TestStepOfNothingButNilGradients(t *testing.T) {
	b := mixed(t, registered...)
	s := newAdamW(t, b, solvers.WithNilGrad(solvers.Skip))
	for _, p := range b.pairs {
		p.grad = nil
	}
	require.ErrorIs(t, s.Step(b.list()), solvers.ErrNilGrad)
	require.Zero(t, s.Steps())
}

func TestFrozenParameterIsRefused(t *testing.T) {
	b := mixed(t, registered...)
	require.NoError(t, b.params.Freeze("gain"))
	s := newAdamW(t, b)
	err := s.Step(b.list())
	require.ErrorIs(t, err, solvers.ErrUnknownParam)
	require.ErrorContains(t, err, "gain: it is frozen")
}

func TestDescribedParametersCannotStep(t *testing.T) {
	ps, err := graph.NewParams(nil)
	require.NoError(t, err)
	_, err = ps.New("w", graph.Weight, tensor.Shape{2, 2}, nil)
	require.NoError(t, err)
	gs, err := groups.Split(ps, groups.DecayAllPolicy())
	require.NoError(t, err)
	s, err := solvers.NewAdamW(gs)
	require.NoError(t, err)
	require.ErrorContains(t, s.Step(ps.ValueGrads()), "parameter w: has no value")
}
