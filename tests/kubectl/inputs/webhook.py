"""An admission webhook on a free port of 127.0.0.1, which it writes to the file `port`; it ends after two minutes.

/check refuses what is labelled `deny` and warns of what is named `warned`; /change labels everything `changed`.
"""
import base64, http.server, json, os, ssl, threading


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        thing = request.get("object") or request.get("oldObject")
        labels = thing["metadata"].get("labels") or {}
        response = {"uid": request["uid"], "allowed": True}
        if self.path.startswith("/change"):
            patch = [{"op": "add", "path": "/metadata/labels", "value": {**labels, "changed": request["operation"]}}]
            response["patchType"] = "JSONPatch"
            response["patch"] = base64.b64encode(json.dumps(patch).encode()).decode()
        elif "deny" in labels:
            response["allowed"] = False
            if labels["deny"] != "quietly":
                text = f"{request['operation']} {request['resource']['resource']} by {request['userInfo']['username']}"
                response["status"] = {"message": text, "code": 403, "reason": "Forbidden"}
        elif thing["metadata"]["name"] == "warned":
            response["warnings"] = ["that is a warning"]
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("hook.crt", "hook.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Timer(120, lambda: os._exit(0)).start()
with open("port", "w") as file:
    file.write(str(server.server_address[1]))
server.serve_forever()
