package groups_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gorget/gorget/graph"
	"github.com/gorget/gorget/groups"
)

// coupled is the rate of a solver with lr 1e-3 and lambda 0.1.
func coupled(gs *groups.Groups) func(*graph.Param) groups.Rate {
	return func(p *graph.Param) groups.Rate {
		g := gs.Of(p)
		r := groups.Rate{LR: 1e-3 * g.Mult(), Lambda: 0.1}
		if g.WeightDecay != nil {
			r.Lambda = *g.WeightDecay
		}
		r.Shrink = r.LR * r.Lambda
		return r
	}
}

// described is two layers with a tied, a frozen and an odd parameter.
func described(t testing.TB) *groups.Groups {
	ps := tiny(t, 2)
	require.NoError(t, ps.Freeze("wpe.weight"))
	return split(t, ps, groups.GPT2Policy(), groups.Rule{Name: "h.1.*.c_attn.weight", Group: groups.NoDecay, Why: "a | test"})
}

func TestReportText(t *testing.T) {
	var out bytes.Buffer
	gs := described(t)
	require.NoError(t, gs.Report(coupled(gs)).WriteText(&out))
	require.Equal(t, `policy gpt2 (karpathy/nanoGPT@3adf61e model.py, configure_optimizers: parameters of rank >= 2 decay)
name                    shape   count  role                group     lr mult     lr  lambda  shrink/step  tau (steps)  why
wte.weight              (11,4)     44  token_embedding     decay           1  0.001     0.1       0.0001        10000  embeddings are of rank 2 and decay
lm_head.weight                                                                                                         tied to wte.weight
wpe.weight              (8,4)      32  position_embedding  frozen                                                      declared frozen: not trained, not decayed
h.0.ln_1.weight         (4)         4  norm_gain           no_decay        1  0.001       0            0        never  norm parameters do not decay
h.0.ln_1.bias           (4)         4  norm_bias           no_decay        1  0.001       0            0        never  norm parameters do not decay
h.0.attn.c_attn.weight  (4,12)     48  qkv_weight          decay           1  0.001     0.1       0.0001        10000  matrices decay
h.0.attn.c_attn.bias    (12)       12  bias                no_decay        1  0.001       0            0        never  biases do not decay
h.1.ln_1.weight         (4)         4  norm_gain           no_decay        1  0.001       0            0        never  norm parameters do not decay
h.1.ln_1.bias           (4)         4  norm_bias           no_decay        1  0.001       0            0        never  norm parameters do not decay
h.1.attn.c_attn.weight  (4,12)     48  qkv_weight          no_decay        1  0.001       0            0        never  override name="h.1.*.c_attn.weight" -> no_decay: a | test
h.1.attn.c_attn.bias    (12)       12  bias                no_decay        1  0.001       0            0        never  biases do not decay
temperature             (1)         1  scalar              no_decay        1  0.001       0            0        never  scalars do not decay
decay: 2 tensors, 92 parameters
no_decay: 8 tensors, 89 parameters
frozen: 1 tensors, 32 parameters
`, out.String())
}

// Without rates the report is the partition alone, and folded it is a summary.
func TestReportFolded(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, described(t).Report(nil).Folded().WriteText(&out))
	require.Equal(t, `policy gpt2 (karpathy/nanoGPT@3adf61e model.py, configure_optimizers: parameters of rank >= 2 decay)
name                    tensors  shape   count  role                group     lr mult  why
wte.weight                    1  (11,4)     44  token_embedding     decay           1  embeddings are of rank 2 and decay
lm_head.weight                                                                         tied to wte.weight
wpe.weight                    1  (8,4)      32  position_embedding  frozen             declared frozen: not trained, not decayed
h.*.ln_1.weight               2  (4)         8  norm_gain           no_decay        1  norm parameters do not decay
h.*.ln_1.bias                 2  (4)         8  norm_bias           no_decay        1  norm parameters do not decay
h.*.attn.c_attn.weight        1  (4,12)     48  qkv_weight          decay           1  matrices decay
h.*.attn.c_attn.bias          2  (12)       24  bias                no_decay        1  biases do not decay
h.*.attn.c_attn.weight        1  (4,12)     48  qkv_weight          no_decay        1  override name="h.1.*.c_attn.weight" -> no_decay: a | test
temperature                   1  (1)         1  scalar              no_decay        1  scalars do not decay
decay: 2 tensors, 92 parameters
no_decay: 8 tensors, 89 parameters
frozen: 1 tensors, 32 parameters
`, out.String())
}

func TestReportMarkdown(t *testing.T) {
	var out bytes.Buffer
	gs := described(t)
	r := gs.Report(coupled(gs)).Folded()
	r.Rows = r.Rows[:3]
	r.Rows[0].Rate.Note = "odd"
	require.NoError(t, r.WriteMarkdown(&out))
	require.Equal(t, `Policy **gpt2**: karpathy/nanoGPT@3adf61e model.py, configure\_optimizers: parameters of rank >= 2 decay

| name | tensors | shape | count | role | group | lr mult | lr | lambda | shrink/step | tau (steps) | why |
|---|---:|---|---:|---|---|---:|---:|---:|---:|---:|---|
| wte.weight | 1 | (11,4) | 44 | token\_embedding | decay | 1 | 0.001 | 0.1 | 0.0001 | 10000 | embeddings are of rank 2 and decay; NOTE: odd |
| lm\_head.weight |  |  |  |  |  |  |  |  |  |  | tied to wte.weight |
| wpe.weight | 1 | (8,4) | 32 | position\_embedding | frozen |  |  |  |  |  | declared frozen: not trained, not decayed |
| h.\*.ln\_1.weight | 2 | (4) | 8 | norm\_gain | no\_decay | 1 | 0.001 | 0 | 0 | never | norm parameters do not decay |

- **decay**: 2 tensors, 92 parameters
- **no\_decay**: 8 tensors, 89 parameters
- **frozen**: 1 tensors, 32 parameters
`, out.String())
}

func TestReportJSON(t *testing.T) {
	var out bytes.Buffer
	gs := described(t)
	require.NoError(t, gs.Report(coupled(gs)).WriteJSON(&out))
	var back struct {
		Policy, Source string
		Parameters     []struct {
			Name, Role, Group, Why string
			Aliases                []string
			Shape                  []int
			Count                  int
			LRMult                 float64 `json:"lr_mult"`
			Rate                   *struct {
				LR          float64
				WeightDecay float64 `json:"weight_decay"`
				Shrink      float64
				Tau         *float64 `json:"tau_steps"`
			}
		}
		Groups []groups.Total
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &back))
	assert.Equal(t, "gpt2", back.Policy)
	require.Len(t, back.Parameters, 11)
	wte, wpe, gain := back.Parameters[0], back.Parameters[1], back.Parameters[2]
	assert.Equal(t, []string{"lm_head.weight"}, wte.Aliases)
	assert.Equal(t, []int{11, 4}, wte.Shape)
	assert.Equal(t, "token_embedding", wte.Role)
	assert.InDelta(t, 1e4, *wte.Rate.Tau, 1e-9)
	assert.Equal(t, "frozen", wpe.Group)
	assert.Nil(t, wpe.Rate)
	assert.Nil(t, gain.Rate.Tau, "no decay, no timescale")
	assert.Equal(t, []groups.Total{{Group: "decay", Tensors: 2, Count: 92}, {Group: "no_decay", Tensors: 8, Count: 89}, {Group: "frozen", Tensors: 1, Count: 32}}, back.Groups)
}

func TestRateTau(t *testing.T) {
	assert.Equal(t, 8.0, groups.Rate{Shrink: 0.125}.Tau())
	assert.True(t, math.IsInf(groups.Rate{}.Tau(), 1))
}

// A parameter that was registered too late is shown, not hidden.
func TestReportShowsLateParameters(t *testing.T) {
	gs := described(t)
	_, err := gs.Params().New("late", graph.Bias, []int{1}, nil)
	require.NoError(t, err)
	rows := gs.Report(coupled(gs)).Rows
	last := rows[len(rows)-1]
	assert.Equal(t, "none", last.Group)
	assert.Nil(t, last.Rate)
	_, err = groups.Diff(gs, gs)
	require.ErrorIs(t, err, groups.ErrNotInOneGroup)
	require.ErrorContains(t, err, "late")
}

func TestDiffOfNothing(t *testing.T) {
	gs := split(t, tiny(t, 1), groups.GPT2Policy())
	_, err := groups.Diff(nil, gs)
	require.ErrorContains(t, err, "nil partition")
	_, err = groups.Diff(gs, nil)
	require.ErrorContains(t, err, "nil partition")
}

func TestDiff(t *testing.T) {
	ps := tiny(t, 1)
	a, b := split(t, ps, groups.GPT2Policy()), split(t, ps, groups.MinGPTPolicy())
	changes, err := groups.Diff(a, b)
	require.NoError(t, err)
	assert.Equal(t, `wte.weight (44): decay -> no_decay (embeddings are of rank 2 and decay; embeddings are blacklisted)
wpe.weight (32): decay -> no_decay (embeddings are of rank 2 and decay; embeddings are blacklisted)
`, changes.String())
	back, err := groups.Diff(b, a)
	require.NoError(t, err)
	assert.Equal(t, "no_decay", back[0].From)
	same, err := groups.Diff(a, split(t, ps, groups.MegatronPolicy()))
	require.NoError(t, err)
	assert.Empty(t, same)
	_, err = groups.Diff(a, split(t, tiny(t, 1), groups.GPT2Policy()))
	require.ErrorContains(t, err, "different Params")
}

// Policies are data: they survive JSON.
func TestPolicyJSON(t *testing.T) {
	for _, p := range append(groups.Policies(), groups.Policy{Name: "own", Groups: []groups.GroupSpec{
		{Name: "g", Settings: groups.Settings{LRMult: groups.Value(0), Beta2: groups.Value(0.95)}, MayBeEmpty: true}},
		Rules: []groups.Rule{{Role: graph.LMHead, Group: "g", Why: "w"}, {Name: "*", Group: "g", Why: "w"}}}) {
		text, err := json.Marshal(p)
		require.NoError(t, err)
		var back groups.Policy
		require.NoError(t, json.Unmarshal(text, &back))
		assert.Equal(t, p, back)
	}
	var p groups.Policy
	require.ErrorContains(t, json.Unmarshal([]byte(`{"rules":[{"class":"matrixx"}]}`), &p), `class = "matrixx"`)
}

// BenchmarkReport is the partition and report of a model of GPT-3's depth,
// described only.
func BenchmarkReport(b *testing.B) {
	ps, err := graph.NewParams(nil)
	require.NoError(b, err)
	for i := range 96 * 12 {
		role := []graph.Role{graph.QKVWeight, graph.Bias, graph.NormGain}[i%3]
		shape := [][]int{{12288, 36864}, {36864}, {12288}}[i%3]
		_, err := ps.New(fmt.Sprintf("h.%d.p%d", i/12, i%12), role, shape, nil)
		require.NoError(b, err)
	}
	b.ReportAllocs()
	for b.Loop() {
		gs, err := groups.Split(ps, groups.GPT2Policy())
		require.NoError(b, err)
		var out bytes.Buffer
		require.NoError(b, gs.Report(coupled(gs)).WriteText(&out))
	}
}
