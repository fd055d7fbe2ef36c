package groups

import (
	"encoding/json"
	"io"
	"math"
	"strings"

	"github.com/gorget/gorget/graph"
)

// Rate is what one optimizer step does to a parameter by its learning rate and
// its weight decay. A solver fills it from the structure that its update loop
// reads.
type Rate struct {
	LR     float64 `json:"lr"`             // learning rate of the step, all multipliers in
	Lambda float64 `json:"weight_decay"`   // weight decay coefficient of the step
	Shrink float64 `json:"shrink"`         // the step multiplies the weight by 1 - Shrink
	Note   string  `json:"note,omitempty"` // what is odd about it, if anything
}

// Tau is the timescale of the decay in steps, 1/Shrink: without gradients a
// weight falls to 1/e in about that many steps. It is +Inf without decay.
func (r Rate) Tau() float64 { return 1 / r.Shrink }

// MarshalJSON adds tau_steps, null for a parameter that does not decay.
func (r Rate) MarshalJSON() ([]byte, error) {
	type plain Rate
	out := struct {
		plain
		Tau *float64 `json:"tau_steps"`
	}{plain: plain(r)}
	if tau := r.Tau(); !math.IsInf(tau, 0) && !math.IsNaN(tau) {
		out.Tau = &tau
	}
	return json.Marshal(out)
}

// Report says for every parameter how it is trained and why. It holds data;
// WriteText, WriteMarkdown and WriteJSON print it.
type Report struct {
	Policy string  `json:"policy"`
	Source string  `json:"source,omitempty"`
	Rows   []Row   `json:"parameters"`
	Totals []Total `json:"groups"` // the groups in order, then "frozen" if there are any
}

// Row is one parameter, or in a folded report several that are alike.
type Row struct {
	Name    string     `json:"name"`
	Aliases []string   `json:"aliases,omitempty"` // other names of the same tensor
	Tensors int        `json:"tensors"`           // 1, or how many were folded
	Shape   []int      `json:"shape"`
	Count   int        `json:"count"` // elements of all Tensors
	Role    graph.Role `json:"role"`
	Group   string     `json:"group"` // "frozen" for a parameter that is not trained
	LRMult  float64    `json:"lr_mult"`
	Rate    *Rate      `json:"rate,omitempty"` // nil if the report was made without rates
	Why     string     `json:"why"`
}

// Total sums a group.
type Total struct {
	Group   string `json:"group"`
	Tensors int    `json:"tensors"`
	Count   int    `json:"count"`
}

const frozen = "frozen"

// Report describes the partition, in order of registration. The function rate
// gives the effective numbers of a trainable parameter, as the Report method of
// a solver does; with nil the report has the partition alone.
func (gs *Groups) Report(rate func(*graph.Param) Rate) *Report {
	r := &Report{Policy: gs.name, Source: gs.source}
	for _, p := range gs.params.All() {
		row := Row{
			Name: p.Name(), Aliases: p.Aliases(), Tensors: 1, Shape: p.Shape(), Count: p.Size(), Role: p.Role(),
		}
		switch a := gs.of[p]; {
		case p.Frozen():
			row.Group, row.Why = frozen, "declared frozen: not trained, not decayed"
		case a.group != nil:
			row.Group, row.Why, row.LRMult = a.group.Name, a.why, a.group.Mult()
			if rate != nil {
				x := rate(p)
				row.Rate = &x
			}
		default:
			row.Group, row.Why = "none", "registered after the groups were made"
		}
		r.Rows = append(r.Rows, row)
	}
	for _, g := range gs.list {
		r.Totals = append(r.Totals, Total{g.Name, len(g.Params), g.Size()})
	}
	if gs.frozen != nil {
		t := Total{Group: frozen, Tensors: len(gs.frozen)}
		for _, p := range gs.frozen {
			t.Count += p.Size()
		}
		r.Totals = append(r.Totals, t)
	}
	return r
}

// Folded merges the rows of parameters that differ in nothing but the numbers
// between the dots of their names: h.0.ln_1.weight and h.1.ln_1.weight become
// h.*.ln_1.weight. Rows stand where their first parameter stood.
func (r *Report) Folded() *Report {
	type key struct {
		name, aliases, shape, group, why string
		role                             graph.Role
		mult                             float64
		rate                             Rate
	}
	out := &Report{Policy: r.Policy, Source: r.Source, Totals: r.Totals}
	at := map[key]int{}
	for _, row := range r.Rows {
		aliases := make([]string, len(row.Aliases))
		for i, a := range row.Aliases {
			aliases[i] = foldName(a)
		}
		row.Name, row.Aliases = foldName(row.Name), aliases
		k := key{row.Name, strings.Join(aliases, " "), shapeText(row.Shape), row.Group, row.Why, row.Role, row.LRMult, Rate{}}
		if row.Rate != nil {
			k.rate = *row.Rate
		}
		if i, ok := at[k]; ok {
			out.Rows[i].Tensors += row.Tensors
			out.Rows[i].Count += row.Count
			continue
		}
		at[k] = len(out.Rows)
		out.Rows = append(out.Rows, row)
	}
	return out
}

func foldName(name string) string {
	parts := strings.Split(name, ".")
	for i, part := range parts {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, ".")
}

// WriteJSON writes the report as one indented JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}
