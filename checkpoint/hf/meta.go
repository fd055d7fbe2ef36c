package hf

import (
	"regexp"

	"github.com/pkg/errors"

	"github.com/gorget/gorget/checkpoint"
	"github.com/gorget/gorget/gptblock"
	"github.com/gorget/gorget/graph"
)

// LoadMeta reads weights under the names of Meta's and Mistral's own releases
// (tok_embeddings, layers.0.attention.wq, ...) from a safetensors file, such as
// Mistral's consolidated.safetensors, into the parameters of the
// gptblock.Model of config c. In these files RoPE pairs neighbouring rows of a
// head, (2i,2i+1), where gorget pairs (i,i+D/2) as Hugging Face does: the rows
// of the query and key projections are put in that order.
func LoadMeta(ps *graph.Params, c gptblock.Config, path string, opts ...checkpoint.LoadOption) error {
	if c.Layout != gptblock.LayoutLlama || c.Position != gptblock.PositionRoPE {
		return errors.Errorf("hf: LoadMeta for layout %q with position %q, want %q with %q", c.Layout, c.Position, gptblock.LayoutLlama, gptblock.PositionRoPE)
	}
	c = resolved(c)
	mapping := func(p *graph.Param) []checkpoint.Part {
		part := checkpoint.Part{Tensor: metaName(p.Name()), Shape: p.Shape()}
		switch p.Role() {
		case graph.QueryWeight, graph.KeyWeight:
			part.Row = halvesFromPairs(c.HeadSize)
		}
		return []checkpoint.Part{part}
	}
	own := []checkpoint.LoadOption{
		checkpoint.LoadMapping(mapping),
		checkpoint.IgnoreTensors(func(name string) bool { return name == "rope.freqs" }),
	}
	return checkpoint.Load(ps, path, append(own, opts...)...)
}

// halvesFromPairs says where a row goes: 2i of a head to i, 2i+1 to i+D/2.
func halvesFromPairs(D int) func(row int) int {
	return func(row int) int {
		head, j := row/D*D, row%D
		return head + j/2 + j%2*(D/2)
	}
}

var metaNames = []struct {
	from *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`^model\.embed_tokens\.`), "tok_embeddings."},
	{regexp.MustCompile(`^model\.norm\.`), "norm."},
	{regexp.MustCompile(`^lm_head\.`), "output."},
	{regexp.MustCompile(`^model\.layers\.(\d+)\.input_layernorm\.`), "layers.$1.attention_norm."},
	{regexp.MustCompile(`^model\.layers\.(\d+)\.post_attention_layernorm\.`), "layers.$1.ffn_norm."},
	{regexp.MustCompile(`^model\.layers\.(\d+)\.self_attn\.([qkvo])_proj\.`), "layers.$1.attention.w$2."},
	{regexp.MustCompile(`^model\.layers\.(\d+)\.mlp\.gate_proj\.`), "layers.$1.feed_forward.w1."},
	{regexp.MustCompile(`^model\.layers\.(\d+)\.mlp\.down_proj\.`), "layers.$1.feed_forward.w2."},
	{regexp.MustCompile(`^model\.layers\.(\d+)\.mlp\.up_proj\.`), "layers.$1.feed_forward.w3."},
	{regexp.MustCompile(`^model\.layers\.(\d+)\.block_sparse_moe\.`), "layers.$1.feed_forward."},
}

func metaName(name string) string {
	for _, m := range metaNames {
		if m.from.MatchString(name) {
			return m.from.ReplaceAllString(name, m.to)
		}
	}
	return name
}
