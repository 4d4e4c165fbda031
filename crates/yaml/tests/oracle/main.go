// Fills in what the Go libraries make of the inputs of the golden files.
//
//	cd crates/yaml/tests/oracle && go run . ../goldens/*.jsonl
//
// A line of read.jsonl holds {"text": YAML}; the answers are put beside it as
// "sigs", "strict" and "v3": JSON text, or {"error": message}. A line of
// write.jsonl holds {"value": JSON}; the answer is "yaml".
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	v3 "go.yaml.in/yaml/v3"
	sigs "sigs.k8s.io/yaml"
)

type failure struct {
	Error string `json:"error"`
}

func answer(b []byte, err error) any {
	if err != nil {
		return failure{err.Error()}
	}
	return string(b)
}

// goYaml3 reads as kustomize does: a mapping's own keys become strings at the
// top level, anything else must be text.
func goYaml3(text []byte) ([]byte, error) {
	var node v3.Node
	if err := v3.Unmarshal(text, &node); err != nil {
		return nil, err
	}
	var value any
	if len(node.Content) > 0 && node.Content[0].Kind == v3.MappingNode {
		value = map[string]any{}
		m := map[string]any{}
		if err := node.Decode(&m); err != nil {
			return nil, err
		}
		value = m
	} else if err := node.Decode(&value); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

type line struct {
	Text   *string         `json:"text,omitempty"`
	Sigs   any             `json:"sigs,omitempty"`
	Strict any             `json:"strict,omitempty"`
	V3     any             `json:"v3,omitempty"`
	Value  json.RawMessage `json:"value,omitempty"`
	Yaml   any             `json:"yaml,omitempty"`
}

func fill(l *line) {
	if l.Text != nil {
		text := []byte(*l.Text)
		l.Sigs = answer(sigs.YAMLToJSON(text))
		l.Strict = answer(sigs.YAMLToJSONStrict(text))
		l.V3 = answer(goYaml3(text))
		return
	}
	l.Yaml = answer(sigs.JSONToYAML(l.Value))
}

func main() {
	for _, path := range os.Args[1:] {
		in, err := os.ReadFile(path)
		if err != nil {
			panic(err)
		}
		var out bytes.Buffer
		scanner := bufio.NewScanner(bytes.NewReader(in))
		scanner.Buffer(nil, 1<<24)
		for scanner.Scan() {
			var l line
			if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
				panic(fmt.Sprint(path, ": ", err))
			}
			fill(&l)
			encoder := json.NewEncoder(&out)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(l); err != nil {
				panic(err)
			}
		}
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			panic(err)
		}
	}
}
